//! Ten steps a second, by the board's own clock.

use crate::RATE;

/// Says how many steps have gone by. It does not drift: a step that is taken late does not move those
/// behind it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    per_step: u64,
    next: u64,
}

impl Pace {
    /// Begins now, by a clock that counts `per_second`. The first step is over after 0.1 s.
    pub fn new(now: u64, per_second: u64) -> Self {
        let per_step = (per_second / RATE).max(1);
        Self {
            per_step,
            next: now.saturating_add(per_step),
        }
    }

    /// Steps that have ended since the last call: 0 while one goes on, more than 1 when some were missed.
    pub fn elapsed(&mut self, now: u64) -> u32 {
        let Some(late) = now.checked_sub(self.next) else {
            return 0;
        };
        let steps = late / self.per_step + 1;
        self.next += steps * self.per_step;
        u32::try_from(steps).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_were_missed_are_counted_and_the_rest_stay_in_time() {
        let mut pace = Pace::new(1000, 1000);
        let at = [1050, 1099, 1100, 1150, 1230, 1299, 1300, 1755, 1799, 1800];
        let steps = at.map(|now| pace.elapsed(now));
        assert_eq!(steps, [0, 0, 1, 0, 1, 0, 1, 4, 0, 1]);
    }
}
