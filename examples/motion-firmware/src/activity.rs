//! What the model tells apart.

/// How many activities there are.
pub const ACTIVITIES: usize = 4;

/// The model's output: a probability for each [`Activity`], in their order.
pub type Scores = [f32; ACTIVITIES];

/// The activities, in the order of `examples/motion/labels.txt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Playing badminton.
    Badminton,
    /// Running.
    Running,
    /// Standing still.
    Standing,
    /// Walking.
    Walking,
}

impl Activity {
    /// All of them.
    pub const ALL: [Self; ACTIVITIES] = [
        Self::Badminton,
        Self::Running,
        Self::Standing,
        Self::Walking,
    ];

    /// The one with the highest score, of equal ones the first.
    pub fn of(scores: &Scores) -> Self {
        let mut best = (Self::Badminton, f32::NEG_INFINITY);
        for (activity, &score) in Self::ALL.into_iter().zip(scores) {
            if score > best.1 {
                best = (activity, score);
            }
        }
        best.0
    }

    /// Its place in [`Activity::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Badminton => "badminton",
            Self::Running => "running",
            Self::Standing => "standing",
            Self::Walking => "walking",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_model_in_their_order() {
        let labels = include_str!("../../motion/labels.txt").lines();
        assert!(labels.eq(Activity::ALL.map(Activity::label)));
    }

    #[test]
    fn the_highest_score_wins_and_of_equal_ones_the_first() {
        assert_eq!(Activity::of(&[0.1, 0.2, 0.3, 0.4]), Activity::Walking);
        assert_eq!(Activity::of(&[0.1, 0.4, 0.4, 0.1]), Activity::Running);
        assert_eq!(Activity::of(&[f32::NAN; 4]), Activity::Badminton);
    }
}
