//! What a build script writes, and what it refuses.

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
fn the_source_gives_the_sizes_and_just_the_operators_of_the_model()
-> Result<(), Box<dyn std::error::Error>> {
    let out = scratch("source")?;
    let path = out.join("tiny.niwaki");
    let artifact = niwaki_fixture::artifact()?;
    fs::write(&path, &artifact)?;
    embed(&path, &out)?;

    assert_eq!(fs::read(out.join("model.niwaki"))?, artifact);
    let source = fs::read_to_string(out.join("model.rs"))?;
    let arena = format!(
        "pub const ARENA_BYTES: usize = {};",
        niwaki_fixture::ARENA_BYTES
    );
    let operators = format!(
        "pub struct ModelOperators: {}\n",
        sorted_operators().join(", ")
    );
    for line in [
        arena.as_str(),
        operators.as_str(),
        "pub const OPERATOR_COUNT: usize = 3;",
        "pub const INPUT_BYTES: usize = 8;",
        "pub const LARGEST_INPUT_BYTES: usize = 4;",
        "pub const OUTPUT_BYTES: usize = 4;",
        "pub const LARGEST_OUTPUT_BYTES: usize = 4;",
        "include_bytes!(\"model.niwaki\")",
    ] {
        assert!(source.contains(line), "no `{line}` in:\n{source}");
    }
    let directory = out.display().to_string();
    assert!(
        !source.contains(&directory),
        "a path of this machine in:\n{source}"
    );
    Ok(())
}

/// The fixture's operators in the order of the runtime's table.
fn sorted_operators() -> Vec<&'static str> {
    let names = niwaki::ops::TABLE.iter().map(|&(_, name)| name);
    names
        .filter(|name| niwaki_fixture::OPERATORS.contains(name))
        .collect()
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
    assert!(!out.join("model.rs").exists());
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
