//! What a build script copies, and what it refuses.

use std::path::PathBuf;
use std::{fs, io};

use niwaki::LoadError;
use niwaki_build::{Error, embed};

/// A directory of this test's own that is empty.
fn scratch(test: &str) -> io::Result<PathBuf> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    fs::create_dir_all(&path)?;
    Ok(path)
}

#[test]
fn a_good_file_is_copied() -> Result<(), Box<dyn std::error::Error>> {
    let out = scratch("good")?;
    let path = out.join("tiny.niwaki");
    let artifact = niwaki_fixture::artifact()?;
    fs::write(&path, &artifact)?;
    embed(&path, &out)?;
    assert_eq!(fs::read(out.join("model.niwaki"))?, artifact);
    Ok(())
}

#[test]
fn a_damaged_file_is_refused_and_nothing_is_written() -> Result<(), Box<dyn std::error::Error>> {
    let out = scratch("damaged")?;
    let path = out.join("tiny.niwaki");
    let mut artifact = niwaki_fixture::artifact()?;
    if let Some(last) = artifact.last_mut() {
        *last ^= 1;
    }
    fs::write(&path, artifact)?;
    let refused = embed(&path, &out);
    assert!(
        matches!(refused, Err(Error::Refused(_, LoadError::Damaged))),
        "{refused:?}"
    );
    assert!(!out.join("model.niwaki").exists());
    Ok(())
}

#[test]
fn a_missing_file_is_named() -> Result<(), Box<dyn std::error::Error>> {
    let out = scratch("missing")?;
    let Err(error) = embed(&out.join("absent.niwaki"), &out) else {
        return Err("there is no such file".into());
    };
    assert!(error.to_string().contains("absent.niwaki"), "{error}");
    Ok(())
}
