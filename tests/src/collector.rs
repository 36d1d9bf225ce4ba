//! A collector of traces: takes spans by OTLP, and shows them.

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::io::Read;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Takes whatever spans it is sent, until it is dropped.
pub struct Collector {
    port: u16,
    taken: Arc<Mutex<Vec<Taken>>>,
    _tasks: JoinSet<()>,
}

/// A request that it took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its first line and headers.
    pub head: String,
    /// What it was about.
    pub batch: ExportTraceServiceRequest,
}

impl Collector {
    /// On a port of its own.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let taken = Arc::<Mutex<Vec<Taken>>>::default();
        let (mut tasks, inbox) = (JoinSet::new(), Arc::clone(&taken));
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                clients.spawn(serve(stream, Arc::clone(&inbox)));
            }
        });
        Self { port, taken, _tasks: tasks }
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it took so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().expect("nobody panicked").clone()
    }

    /// All spans that it took so far.
    pub fn spans(&self) -> Vec<Span> {
        let of_batch = |taken: Taken| taken.batch.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        self.taken().into_iter().flat_map(of_batch).flat_map(|scope| scope.spans).collect()
    }
}

/// The attribute of this name, as text.
pub fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    let value = found.value.as_ref().and_then(|AnyValue { value }| value.as_ref())?;
    if let Value::StringValue(text) = value {
        return Some(text.clone());
    }
    if let Value::IntValue(number) = value { Some(number.to_string()) } else { Some(format!("{value:?}")) }
}

async fn serve(stream: TcpStream, inbox: Arc<Mutex<Vec<Taken>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(taken) = read(&mut stream).await {
        inbox.lock().expect("nobody panicked").push(taken);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.expect("the client listens");
    }
}

/// The next request; nothing when there are no more.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Taken> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let header = |name: &str| {
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        let mut found = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim().to_owned())
    };
    let length = header("content-length")?.parse().expect("a length");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    if header("content-encoding").is_some_and(|coding| coding == "gzip") {
        let mut unpacked = Vec::new();
        GzDecoder::new(&*body).read_to_end(&mut unpacked).expect("gzip");
        body = unpacked;
    }
    let batch = ExportTraceServiceRequest::decode(&*body).expect("spans in protobuf");
    Some(Taken { head, batch })
}
