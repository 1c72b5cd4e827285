//! A certificate authority of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::programs::{Program, find};

/// An authority that no system trusts, with its certificate and its key in a folder that a drop removes.
pub struct Authority {
    folder: TempDir,
}

/// A certificate that an [`Authority`] issued, and its key; both in PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The file with the certificate.
    pub certificate: PathBuf,
    /// The file with the private key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes an authority.
    ///
    /// # Errors
    ///
    /// If openssl is not installed (the error names the package), or fails.
    pub fn create() -> Result<Self> {
        let authority = Self { folder: tempfile::Builder::new().prefix("larder-authority-").tempdir()? };
        let extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n";
        authority.make("authority", "larder's tests", extensions, None)?;
        Ok(authority)
    }

    /// The file with the certificate that clients have to trust, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Issues a certificate for a server under this host name, or for a client of this name.
    ///
    /// # Errors
    ///
    /// If openssl fails.
    pub fn issue(&self, host: &str) -> Result<Issued> {
        let extensions = format!(
            "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:{host}\n"
        );
        self.make(host, host, &extensions, Some(("authority.pem", "authority.key")))
    }

    fn make(&self, file: &str, name: &str, extensions: &str, issuer: Option<(&str, &str)>) -> Result<Issued> {
        let path = |name: &str| self.folder.path().join(name);
        let [config, certificate, key] =
            ["cnf", "pem", "key"].map(|ending| path(&format!("{file}.{ending}")));
        let text = format!(
            "[req]\ndistinguished_name=name\nx509_extensions=extensions\nprompt=no\n[name]\nCN={name}\n[extensions]\n{extensions}"
        );
        fs::write(&config, text)?;
        let mut command = Command::new(find(Program::Openssl)?);
        command.args(["req", "-x509", "-nodes", "-days", "2"]);
        command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        let mut with = |option: &str, file: &Path| {
            command.arg(option).arg(file);
        };
        with("-config", &config);
        with("-keyout", &key);
        with("-out", &certificate);
        if let Some((certificate, key)) = issuer {
            with("-CA", &path(certificate));
            with("-CAkey", &path(key));
        }
        let made = command.output().context("starting openssl")?;
        ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        Ok(Issued { certificate, key })
    }
}
