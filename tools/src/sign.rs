//! Signed updates for devices: keys as files, and a manifest in front of an artifact.
//!
//! The private key is a PEM file (PKCS#8), the public one 44 bytes of DER (SubjectPublicKeyInfo), for
//! a firmware to include as they are. `openssl pkey` reads both.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _};
use ed25519_dalek::{Signer as _, SigningKey};
use niwaki_store::{Manifest, PublicKey};

use crate::artifact::Artifact;
use crate::data;

/// A new private key, of the operating system's random numbers.
///
/// # Errors
///
/// When there are none.
pub fn generate() -> Result<SigningKey> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("the operating system gives no random numbers")?;
    Ok(SigningKey::from_bytes(&secret))
}

/// Where the public key of a private one lies: beside it, with `.pub` behind its name.
pub fn public_path(private: &Path) -> PathBuf {
    let mut name = OsString::from(private);
    name.push(".pub");
    name.into()
}

/// Writes a private key that only its owner may read, and the public one beside it.
///
/// # Errors
///
/// When one of the files is there already: a key that is lost cannot be made again. Or when it
/// cannot be written.
pub fn write_key(path: &Path, key: &SigningKey) -> Result<()> {
    let public = public_path(path);
    for path in [path, &public] {
        ensure!(
            !path.exists(),
            "{} exists, and keys are not written over: give another name, or move it away",
            path.display()
        );
    }
    let place = || format!("cannot write {}", path.display());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let pem = key.to_pkcs8_pem(LineEnding::LF).with_context(place)?;
    // A temporary file is for its owner alone from the start (0600), and stays so.
    let mut file = tempfile::Builder::new()
        .prefix(".niwaki-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .with_context(place)?;
    file.write_all(pem.as_bytes()).with_context(place)?;
    file.persist_noclobber(path)
        .map_err(|error| error.error)
        .with_context(place)?;
    let der = key.verifying_key().to_public_key_der()?;
    data::write_beside(&public, |file| Ok(file.write_all(der.as_bytes())?))
}

/// Reads a private key.
///
/// # Errors
///
/// When the file is not there, or is none.
pub fn read_private(path: &Path) -> Result<SigningKey> {
    let pem = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the private key {}", path.display()))?;
    SigningKey::from_pkcs8_pem(&pem).map_err(|error| {
        anyhow::anyhow!(
            "{} is no private key for Ed25519 (PKCS#8, PEM): {error}; `niwaki keygen` makes one",
            path.display()
        )
    })
}

/// Reads a public key.
///
/// # Errors
///
/// When the file is not there, or is none.
pub fn read_public(path: &Path) -> Result<PublicKey> {
    let der =
        std::fs::read(path).with_context(|| format!("cannot read the key {}", path.display()))?;
    let key = <&[u8; 44]>::try_from(&der[..])
        .ok()
        .and_then(|der| PublicKey::from_der(der).ok());
    key.with_context(|| {
        format!(
            "{} is no public key for Ed25519 (44 bytes of DER): it is the file with .pub behind \
             the name that `niwaki keygen` was given",
            path.display()
        )
    })
}

/// The identifier of a key, as updates and devices show it.
pub fn key_name(id: [u8; 8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The update that carries `artifact`: its manifest, signed, and its bytes.
///
/// # Errors
///
/// When the artifact is of 4 GiB or more.
pub fn sign(artifact: &Artifact, version: u32, key: &SigningKey) -> Result<Vec<u8>> {
    // The words that an artifact is kept in may be a few bytes longer than its file.
    let bytes = artifact.bytes();
    let model = &bytes[..artifact.model()?.file_bytes()];
    let manifest = Manifest::of(version, model)
        .context("the artifact is too large for a device")?
        .signed(key.verifying_key().as_bytes(), |bytes| {
            key.sign(bytes).to_bytes()
        });
    Ok([&manifest.to_bytes()[..], model].concat())
}

/// Checks an update as a device with this key does that has confirmed version `floor`: the
/// manifest, the signature, the version and the SHA-256; and then that its model can be loaded.
///
/// # Errors
///
/// What is wrong with it.
pub fn verify(update: &[u8], key: &PublicKey, floor: u32) -> Result<Manifest> {
    let manifest = Manifest::read(update)?;
    key.verify(&manifest)?;
    let version = manifest.version;
    if version < floor {
        bail!(niwaki_store::Error::Older { version, floor });
    }
    let model = &update[Manifest::BYTES..];
    let (found, length) = (model.len(), manifest.length as usize);
    ensure!(
        found == length,
        "the manifest is of a model of {length} bytes, and {found} follow it: copy it again"
    );
    if !manifest.is_of(model) {
        bail!(niwaki_store::Error::Damaged);
    }
    Artifact::from_bytes(model).context("the update is whole, but its model is refused")?;
    Ok(manifest)
}
