//! Where an instance listens, and the prefix of its paths. Commands that ask the instance of this machine read these two
//! settings and no other one: a mistake elsewhere in the settings, which a running instance does not notice, is no reason
//! not to ask it.

use std::net::SocketAddr;
use std::path::Path;

use crate::settings::bad::BadSetting;
use crate::settings::http;
use crate::settings::sources::Sources;

/// Where an instance listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// `LARDER_LISTEN`. Default 127.0.0.1:8080.
    pub address: SocketAddr,
    /// `LARDER_BASE_PATH`. Default empty: there is no prefix.
    pub base_path: String,
}

impl Listening {
    /// Reads the two settings from `sources`, and from `file` as far as it can be read.
    ///
    /// # Errors
    /// One of the two cannot be used.
    pub fn read(sources: Sources, file: Option<&Path>) -> Result<Self, BadSetting> {
        let sources = match file {
            Some(file) => sources.with_known_of(file),
            None => sources,
        };
        Ok(Self { address: address(&sources)?, base_path: http::base_path(&sources)? })
    }
}

/// Reads `LARDER_LISTEN`.
pub(super) fn address(sources: &Sources) -> Result<SocketAddr, BadSetting> {
    sources.take("LARDER_LISTEN", "127.0.0.1:8080", |raw| {
        let expected = "must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
        raw.trim().parse().map_err(|_| expected.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &'static [(&str, &str)], toml: &str) -> Result<Listening, BadSetting> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        let of =
            |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Listening::read(Sources::new(of), Some(file.path()))
    }

    #[test]
    fn what_else_the_file_has_does_not_matter() {
        let toml = "larder_listen = '127.0.0.2:81'\nlarder_base_path = '/larder'\n";
        let wanted = Listening { address: "127.0.0.2:81".parse().unwrap(), base_path: "/larder".to_owned() };
        for mistake in
            ["", "user_lits_ttl = 1\n", "user_list_ttl = 0\n", "larder_secret_key_file = '/nowhere'\n"]
        {
            assert_eq!(read(&[], &format!("{mistake}{toml}")).unwrap(), wanted, "{mistake}");
        }
        let set = read(&[("LARDER_LISTEN", "[::1]:8")], toml).unwrap();
        assert_eq!((set.address.to_string(), set.base_path), ("[::1]:8".to_owned(), "/larder".to_owned()));
        let broken = read(&[], "larder_listen = '127.0.0.2:81\n").unwrap();
        assert_eq!((broken.address.to_string().as_str(), broken.base_path.as_str()), ("127.0.0.1:8080", ""));
        assert!(read(&[], "larder_listen = 'here'\n").unwrap_err().to_string().contains("LARDER_LISTEN"));
    }
}
