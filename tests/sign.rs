//! Keys, signed updates, and what a device takes of them: from the command line to the flash.

use std::path::Path;
use std::process::Output;

use niwaki_store::simulate::{Power, SimFlash};
use niwaki_store::{Boot, Error, Manifest, PublicKey, Store, Trust};
use niwaki_tests::{niwaki, root, stderr};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::sign;
use tempfile::TempDir;

fn model() -> std::path::PathBuf {
    root().join("tests/golden/format-1/digits.niwaki")
}

fn run(folder: &TempDir, line: &str) -> Output {
    let model = model();
    let arguments = line.split(' ').map(|word| match word {
        "MODEL" => model.as_os_str().to_owned(),
        word => word.into(),
    });
    let mut command = niwaki();
    command.args(arguments).current_dir(folder.path());
    command.output().unwrap()
}

fn works(folder: &TempDir, line: &str) -> String {
    let output = run(folder, line);
    assert!(output.status.success(), "{line}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(folder: &TempDir, line: &str, words: &[&str]) {
    let output = run(folder, line);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{line}: {error}");
    for word in words {
        assert!(
            error.contains(word),
            "{line} does not say `{word}`: {error}"
        );
    }
}

/// A folder with a key, and the model signed by it as version 3.
fn signed() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    works(&folder, "keygen -o my.key");
    works(&folder, "sign MODEL --key my.key --version 3 -o m.nwu");
    folder
}

fn read(folder: &TempDir, name: &str) -> Vec<u8> {
    std::fs::read(folder.path().join(name)).unwrap()
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) {
    std::fs::write(folder.path().join(name), bytes).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let names = std::fs::read_dir(folder).unwrap().map(name);
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_key_is_its_owners_alone_and_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let said = works(&folder, "keygen -o my.key");
    assert_eq!(names(folder.path()), ["my.key", "my.key.pub"]);
    let pem = String::from_utf8(read(&folder, "my.key")).unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |name| {
            let metadata = std::fs::metadata(folder.path().join(name)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        assert_eq!((mode("my.key"), mode("my.key.pub")), (0o600, 0o644));
    }
    let private = sign::read_private(&folder.path().join("my.key")).unwrap();
    let public = sign::read_public(&folder.path().join("my.key.pub")).unwrap();
    assert_eq!(
        public.id(),
        niwaki_store::key_id(private.verifying_key().as_bytes())
    );
    assert!(said.contains(&sign::key_name(public.id())));

    refused(
        &folder,
        "keygen -o my.key",
        &["my.key exists", "not written over"],
    );
    std::fs::remove_file(folder.path().join("my.key")).unwrap();
    refused(&folder, "keygen -o my.key", &["my.key.pub exists"]);
    refused(
        &folder,
        "keygen -o nowhere/my.key",
        &["cannot write nowhere/my.key"],
    );
    assert_eq!(names(folder.path()), ["my.key.pub"]);
    let other = sign::generate().unwrap();
    assert_ne!(other.to_bytes(), private.to_bytes());
}

#[test]
fn an_update_is_the_model_behind_its_signed_manifest() {
    let folder = signed();
    let update = read(&folder, "m.nwu");
    assert_eq!(update[Manifest::BYTES..], std::fs::read(model()).unwrap());
    let manifest = Manifest::read(&update).unwrap();
    assert_eq!(manifest.version, 3);
    assert_eq!(manifest.to_bytes(), update[..Manifest::BYTES]);
    let said = works(&folder, "verify m.nwu --key my.key.pub --floor 3");
    assert!(said.contains("version 3"), "{said}");
    let json = works(&folder, "verify m.nwu --key my.key.pub --json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["version"], 3);
    assert_eq!(json["model_bytes"], update.len() - Manifest::BYTES);
    // Ed25519 has no random part: the same update again.
    works(&folder, "sign MODEL --key my.key --version 3 -o again.nwu");
    assert_eq!(read(&folder, "again.nwu"), update);
}

#[test]
fn what_a_device_would_refuse_is_refused() {
    let folder = signed();
    works(&folder, "keygen -o other.key");
    let update = read(&folder, "m.nwu");
    let verify = "verify bad.nwu --key my.key.pub";
    let changed = |at: usize| {
        let mut changed = update.clone();
        changed[at] ^= 0x10;
        changed
    };
    refused(
        &folder,
        "verify m.nwu --key other.key.pub",
        &["would refuse m.nwu", "signed with key"],
    );
    let older = ["version 3 is older than version 4"];
    refused(&folder, "verify m.nwu --key my.key.pub --floor 4", &older);
    for (bytes, word) in [
        (changed(12), "signature is wrong"),
        (changed(40), "signature is wrong"),
        (changed(100), "signature is wrong"),
        (changed(8), "newer than this program"),
        (changed(0), "not an update"),
        (changed(update.len() - 9), "damaged"),
        (update[..update.len() - 1].to_vec(), "copy it again"),
        (update[..100].to_vec(), "not an update"),
        (Vec::new(), "not an update"),
        (update[Manifest::BYTES..].to_vec(), "not an update"),
    ] {
        write(&folder, "bad.nwu", &bytes);
        refused(&folder, verify, &[word]);
    }
    let model = &update[Manifest::BYTES..];
    let unsigned = Manifest::of(3, model).unwrap().to_bytes();
    write(&folder, "bad.nwu", &[&unsigned[..], model].concat());
    refused(&folder, verify, &["not signed"]);
}

#[test]
fn files_of_another_kind_are_named() {
    let folder = signed();
    let sign = |model: &str, key: &str| format!("sign {model} --key {key} --version 1 -o x.nwu");
    refused(
        &folder,
        &sign("m.nwu", "my.key"),
        &["m.nwu", "not a niwaki artifact"],
    );
    refused(&folder, &sign("MODEL", "my.key.pub"), &["my.key.pub"]);
    refused(
        &folder,
        &sign("MODEL", "none"),
        &["cannot read the private key none"],
    );
    write(
        &folder,
        "text",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    refused(
        &folder,
        &sign("MODEL", "text"),
        &["text is no private key", "niwaki keygen"],
    );
    refused(
        &folder,
        "verify m.nwu --key my.key",
        &["my.key is no public key", ".pub"],
    );
    refused(
        &folder,
        "verify m.nwu --key none",
        &["cannot read the key none"],
    );
    refused(
        &folder,
        "verify none --key my.key.pub",
        &["cannot read none"],
    );
    assert_eq!(
        names(folder.path()),
        ["m.nwu", "my.key", "my.key.pub", "text"]
    );
}

#[test]
fn a_device_takes_and_refuses_the_same() {
    let folder = signed();
    works(&folder, "keygen -o other.key");
    works(
        &folder,
        "sign MODEL --key other.key --version 9 -o other.nwu",
    );
    works(&folder, "sign MODEL --key my.key --version 2 -o older.nwu");
    let public: [u8; 44] = read(&folder, "my.key.pub").try_into().unwrap();
    let trust = Trust::Key(PublicKey::from_der(&public).unwrap());
    let power = Power::new(1);
    let slots = [(); 2].map(|()| SimFlash::<4, 1024>::new(32, &power));
    let mut store = Store::open(SimFlash::<4, 1024>::new(2, &power), slots, trust).unwrap();
    let update = read(&folder, "m.nwu");

    let Boot {
        running,
        mut updater,
        ..
    } = store.boot();
    assert!(running.is_none());
    updater.begin(update.first_chunk().unwrap()).unwrap();
    for chunk in update[Manifest::BYTES..].chunks(200) {
        updater.write(chunk).unwrap();
    }
    updater.finish().unwrap();
    updater.activate().unwrap();
    let Boot {
        running,
        mut updater,
        ..
    } = store.boot();
    // What a device would do: load the model where it lies, and test it.
    let artifact = Artifact::from_bytes(running.unwrap().model).unwrap();
    assert_eq!(artifact.bytes(), Artifact::read(&model()).unwrap().bytes());
    updater.confirm().unwrap();

    let mut begin = |name| updater.begin(read(&folder, name).first_chunk().unwrap());
    let other = begin("other.nwu").unwrap_err();
    assert!(matches!(other, Error::OtherKey { .. }));
    let older = Error::Older {
        version: 2,
        floor: 3,
    };
    assert_eq!(begin("older.nwu"), Err(older));
    let unsigned = Manifest::of(4, &update[Manifest::BYTES..]).unwrap();
    begin("m.nwu").unwrap();
    assert_eq!(updater.begin(&unsigned.to_bytes()), Err(Error::Unsigned));
}
