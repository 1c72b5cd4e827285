//! Mails that the application sends itself: a webhook, received by a real HTTP server that checks the signature.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::serve::Listener;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use larder_testbed::{Authority, Issued};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::app::{Stack, TestApp};
use crate::support::client::Request;
use crate::support::eventually;

const KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A message that arrived.
#[derive(Clone)]
struct Message {
    headers: HeaderMap,
    body: Bytes,
}

impl Message {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether the signature is that of Standard Webhooks, and the message is new.
    fn is_authentic(&self) -> bool {
        let (id, sent) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(KEY).unwrap()).unwrap();
        mac.update(format!("{id}.{sent}.").as_bytes());
        mac.update(&self.body);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let age = now.abs_diff(Duration::from_secs(sent.parse().unwrap()));
        let signature =
            STANDARD.decode(self.header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
        mac.verify_slice(&signature).is_ok() && age < Duration::from_secs(60)
    }
}

/// What has arrived, and the statuses of the next answers; after them, 204. Locked for one operation each.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<(Vec<Message>, VecDeque<u16>)>>);

impl Inbox {
    fn messages(&self) -> Vec<Message> {
        self.0.lock().unwrap().0.clone()
    }
}

/// A receiver on a free port; it ends with its value.
struct Receiver {
    address: SocketAddr,
    inbox: Inbox,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    fn start(answers: &[u16]) -> Self {
        Self::start_with(answers, None)
    }

    /// A receiver over TLS with this certificate.
    fn start_with(answers: &[u16], certificate: Option<&Issued>) -> Self {
        let tls = certificate.map(acceptor);
        let inbox = Inbox::default();
        inbox.0.lock().unwrap().1.extend(answers);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().route("/mails", post(receive)).with_state(inbox.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = Listening { tcp: tokio::net::TcpListener::from_std(listener).unwrap(), tls };
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address, inbox, stop: Some(stop), thread: Some(thread) }
    }

    fn app(&self) -> TestApp {
        Self::stack(&format!("http://{}/mails", self.address)).start()
    }

    fn stack(url: &str) -> Stack {
        Stack::sqlite_memory()
            .with_setting("LARDER_MAIL_WEBHOOK_URL", url)
            .with_setting("LARDER_MAIL_WEBHOOK_SECRET", &format!("whsec_{KEY}"))
            .with_setting("LARDER_MAIL_CONFIRM_LINK", "https://app.example/confirm/{token}")
    }
}

fn acceptor(issued: &Issued) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(&issued.certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&issued.key).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

/// Accepts connections, over TLS if there is an acceptor. A client that refuses the certificate has no connection.
struct Listening {
    tcp: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener for Listening {
    type Io = Box<dyn Stream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.tcp).await;
            match &self.tls {
                None => return (Box::new(stream), address),
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => return (Box::new(stream), address),
                    Err(_) => continue,
                },
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn receive(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut inbox = inbox.0.lock().unwrap();
    inbox.0.push(Message { headers, body });
    StatusCode::from_u16(inbox.1.pop_front().unwrap_or(204)).unwrap()
}

#[test]
fn a_message_is_signed_and_repeated_under_its_id_until_it_is_taken() {
    let receiver = Receiver::start(&[503, 429]);
    let app = receiver.app();
    let ann = app.user("ann");
    ann.send(Request::new("POST", "/api/v1/auth/email/confirm/request")).expect(202);
    eventually("three attempts", || receiver.inbox.messages().len() == 3);
    let messages = receiver.inbox.messages();
    for message in &messages {
        assert!(message.is_authentic());
        assert_eq!(message.header("content-type"), "application/json");
        assert_eq!(message.header("webhook-id"), messages[0].header("webhook-id"));
        let body = message.json();
        assert_eq!((&body["type"], &body["data"]), (&json!("email.confirm"), &messages[0].json()["data"]));
    }
    let data = messages[2].json()["data"].clone();
    assert_eq!((&data["user_id"], &data["email"]), (&json!(ann.id), &json!("ann@example.com")));
    let token = data["token"].as_str().unwrap();
    assert_eq!(data["link"], json!(format!("https://app.example/confirm/{token}")));
    app.anonymous().post("/api/v1/auth/email/confirm", &json!({ "token": token })).expect(204);
    assert_eq!(ann.get("/api/v1/users/me").json()["email_verified"], json!(true));
    eventually("it is logged as sent", || app.larder.printed().contains("a mail was sent"));
    assert_eq!(receiver.inbox.messages().len(), 3, "it is taken once");
    let log = app.larder.printed();
    assert!(!log.contains(token) && !log.contains(KEY));
}

/// The certificate of the receiver comes from an authority of the application's own.
#[test]
fn a_message_goes_over_tls_to_a_receiver_with_a_trusted_certificate_alone() {
    let (authority, other) = (Authority::create().unwrap(), Authority::create().unwrap());
    let [own, of_other_host] = ["localhost", "example.com"].map(|host| authority.issue(host).unwrap());
    for (trusted, issued, arrives) in
        [(&authority, &own, true), (&other, &own, false), (&authority, &of_other_host, false)]
    {
        let receiver = Receiver::start_with(&[], Some(issued));
        let app = Receiver::stack(&format!("https://localhost:{}/mails", receiver.address.port()))
            .with_setting("SSL_CERT_FILE", trusted.certificate().to_str().unwrap())
            .start();
        let ann = app.user("ann");
        ann.send(Request::new("POST", "/api/v1/auth/email/confirm/request")).expect(202);
        let outcome = if arrives { "a mail was sent" } else { "a mail could not be sent yet" };
        eventually("an attempt has ended", || app.larder.printed().contains(outcome));
        let messages = receiver.inbox.messages();
        assert_eq!(messages.len(), usize::from(arrives), "{}", app.larder.printed());
        assert!(messages.iter().all(Message::is_authentic));
    }
}

#[test]
fn a_message_that_the_application_refuses_is_given_up() {
    let receiver = Receiver::start(&[410]);
    let app = receiver.app();
    let ann = app.user("ann");
    app.anonymous().post("/api/v1/auth/password/forgot", &json!({ "email": "ann@example.com" })).expect(202);
    eventually("it is given up", || {
        let log = app.larder.printed();
        log.lines().any(|line| {
            line.contains("a mail was given up") && line.contains(&ann.id) && line.contains("answered 410")
        })
    });
    assert_eq!(receiver.inbox.messages()[0].json()["type"], "password.reset");
    assert_eq!(receiver.inbox.messages().len(), 1);
}
