//! TLS for calls and sockets: ring, and the public web's certificate authorities.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// What a client trusts unless it is told otherwise.
///
/// The provider is named here rather than installed for the process, which belongs to the program, not to a library.
pub(crate) fn public_roots() -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
