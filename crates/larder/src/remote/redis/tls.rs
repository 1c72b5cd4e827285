//! TLS to Redis. The certificate of the server is always verified.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use redis::RedisError;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, Error as TlsError, RootCertStore};
use tokio_rustls::{TlsConnector, rustls};

use crate::error::Error;
use crate::health::Trouble;
use crate::redis_options::RedisOptions;
use crate::remote::redis::trouble::{DialError, tls_error};

/// The longest handshake. It is below the limit of the keeper's dial, so that the health says what got no answer. A Redis
/// without TLS does not answer the first message of a handshake: it waits for the end of the line.
const HANDSHAKE_LIMIT: Duration = Duration::from_millis(900);

/// How a connection is encrypted.
pub(crate) struct Tls {
    options: Arc<RedisOptions>,
    /// The configuration that was made of the files' contents when a connection was last opened. The lock is held to
    /// clone or to replace it, never across an await.
    latest: Mutex<(Files, Arc<ClientConfig>)>,
}

/// What the files of the options contain.
#[derive(PartialEq, Eq)]
struct Files {
    authorities: Option<Vec<u8>>,
    /// The certificate with its chain, and the private key.
    client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    /// Reads the files of the options. An error names the option, its file and what is wrong with it.
    pub(crate) fn new(options: Arc<RedisOptions>) -> Result<Self, Error> {
        let files = Files::read(&options).map_err(Error::config)?;
        let config = files.config(&options).map_err(Error::config)?;
        Ok(Tls { options, latest: Mutex::new((files, Arc::new(config))) })
    }

    /// Makes the handshake. `host` is the name in the certificate, unless the options name another one.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, DialError> {
        let tls = self.clone();
        let config = tokio::task::spawn_blocking(move || tls.config())
            .await
            .unwrap_or_else(|ended| Err(ended.to_string()))
            .map_err(|text| DialError::Unusable(Trouble::Untrusted, text))?;
        let name = self.options.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|error| {
            DialError::Unusable(Trouble::Untrusted, format!("server_name {name}: {error}"))
        })?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        match timeout(HANDSHAKE_LIMIT, handshake).await {
            Ok(connected) => connected.map_err(|error| of_io(&error).unwrap_or(error.into())),
            Err(_) => {
                let text = "no answer to the TLS handshake: check that the port speaks TLS".to_owned();
                Err(DialError::Unusable(Trouble::Silent, text))
            }
        }
    }

    /// The configuration by what the files contain now.
    fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let files = Files::read(&self.options)?;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.0 != files {
            let config = Arc::new(files.config(&self.options)?);
            *latest = (files, config);
        }
        Ok(latest.1.clone())
    }
}

impl Files {
    fn read(options: &RedisOptions) -> Result<Self, String> {
        let authorities = options.ca_file.as_deref().map(|path| read("ca_file", path)).transpose()?;
        let client = match &options.client_certificate {
            Some((certificate, key)) => {
                Some((read("client_certificate", certificate)?, read("client_certificate's key", key)?))
            }
            None => None,
        };
        Ok(Files { authorities, client })
    }

    fn config(&self, options: &RedisOptions) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(self.roots(options)?);
        let (Some((chain, key)), Some((chain_path, key_path))) = (&self.client, &options.client_certificate)
        else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates("client_certificate", chain_path, chain)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            // Without the library's error, which can quote the file.
            .map_err(|_| {
                format!("client_certificate's key {} is no private key in PEM", key_path.display())
            })?;
        builder.with_client_auth_cert(chain, key).map_err(|error| format!("client_certificate: {error}"))
    }

    fn roots(&self, options: &RedisOptions) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match (&self.authorities, &options.ca_file) {
            (Some(pem), Some(path)) => {
                for authority in certificates("ca_file", path, pem)? {
                    roots.add(authority).map_err(|error| format!("ca_file {}: {error}", path.display()))?;
                }
            }
            _ => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(
                        "this system trusts no authority: name the authority of Redis by ca_file".to_owned()
                    );
                }
            }
        }
        Ok(roots)
    }
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{option} {} cannot be read: {error}", path.display()))
}

fn certificates(option: &str, path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("{option} {} contains no certificate in PEM", path.display())),
        // Without the library's error, which can quote the file, and a file of certificates can hold a key too.
        Err(_) => Err(format!("{option} {} is not PEM", path.display())),
    }
}

/// The trouble behind an error of a connection, if TLS is its cause. A server refuses a client's certificate only after
/// the handshake, so redis-rs meets this error too.
pub(crate) fn of_redis(error: &RedisError) -> Option<DialError> {
    Some(untrusted(tls_error(error)?))
}

fn of_io(error: &io::Error) -> Option<DialError> {
    Some(untrusted(error.get_ref()?.downcast_ref::<TlsError>()?))
}

fn untrusted(error: &TlsError) -> DialError {
    let text = match error {
        rustls::Error::InvalidMessage(_) => format!("the server does not speak TLS ({error})"),
        _ => error.to_string(),
    };
    DialError::Unusable(Trouble::Untrusted, text)
}
