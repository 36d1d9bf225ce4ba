//! What is no request, or two at once. It is answered as such, or at least hung up on, and what hides behind it is never served.

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use std::io::Write;
use std::iter::repeat_n;
use tests::raw::exchange;
use tests::{Server, plant::second};

/// More than nothing, and much less than what was packed.
const SLACK_KIB: usize = 64 * 1024;

pub(crate) async fn all(server: &Server) {
    refuse_what_is_no_request(server).await;
    refuse_two_lengths(server).await;
    endure_bombs(server).await;
    serve_one_after_the_other(server).await;
    let (status, ..) = exchange(server, &tests::raw::get("/health/live")).await;
    assert_eq!(status, 200, "an honest request is served after all that");
    assert!(!server.log().contains("panicked"), "the log tells of a panic");
}

async fn refuse_what_is_no_request(server: &Server) {
    let long = "x".repeat(300_000);
    let many: String = (0..2000).map(|number| format!("X-{number}: x\r\n")).collect();
    let heads: Vec<Vec<u8>> = [
        "GET /api/ HTTP/1.1\r\nHost: x\r\nNo colon here\r\n\r\n",
        "GET /api/ HTTP/1.1\r\nHost : x\r\nConnection: close\r\n\r\n",
        "GET /api/ HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n",
        "GET /api/ HTTP/1.1\r\nHost: x\r\nX-A: \x7f\r\n\r\n",
        "GET /api/ HTTP/1.1\r\nHost: x\r\n: nameless\r\n\r\n",
        "GET /api/ HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET /api/\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET  /api/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /api/ list HTTP/1.1\r\nHost: x\r\n\r\n",
        "G\tT /api/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "HELO plant.example\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx",
        "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1e3\r\n\r\n",
        "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "POST /api/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /api/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ]
    .map(|head| head.as_bytes().to_vec())
    .into_iter()
    .chain([
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes(),
        format!("GET /api/ HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n").into_bytes(),
        format!("GET /api/ HTTP/1.1\r\nHost: x\r\n{many}\r\n").into_bytes(),
        b"GET /api/ HTTP/1.1\r\nHost: \xff\xfe\r\nX\xff: 1\r\n\r\n".to_vec(),
    ])
    .collect();
    for head in heads {
        let (status, answer, _) = exchange(server, &head).await;
        let told = head[..head.len().min(120)].escape_ascii();
        assert!((400..500).contains(&status) || status == 505, "{told} was answered {status} {answer}");
    }
}

/// Where two could disagree on where a request ends, there is no second one.
async fn refuse_two_lengths(server: &Server) {
    let hidden = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let length = hidden.len();
    for lengths in [
        format!("Content-Length: {length}\r\nContent-Length: 0"),
        format!("Content-Length: 0\r\nContent-Length: {length}"),
        format!("Content-Length: 0, {length}"),
        "Content-Length: 4\r\nTransfer-Encoding: chunked".to_owned(),
        "Transfer-Encoding: chunked\r\nContent-Length: 4".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked".to_owned(),
        "Transfer-Encoding: identity\r\nContent-Length: 0".to_owned(),
        "Transfer-Encoding: \x0bchunked".to_owned(),
        "Transfer-Encoding : chunked".to_owned(),
        " Transfer-Encoding: chunked".to_owned(),
    ] {
        let head = "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        let request = format!("{head}{lengths}\r\n\r\n0\r\n\r\n{hidden}");
        let (status, _, rest) = exchange(server, request.as_bytes()).await;
        assert!((400..500).contains(&status), "{lengths:?} was answered {status}");
        assert!(!rest.contains("\"keys\""), "what hid behind {lengths:?} was served: {rest}");
    }
    for size in ["ffffffffffffffffff", "-1", "0x4", "4 4", ""] {
        let head =
            "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n";
        let request = format!("{head}Transfer-Encoding: chunked\r\n\r\n{size}\r\n{{}}\r\n0\r\n\r\n");
        let (status, answer, _) = exchange(server, request.as_bytes()).await;
        assert!((400..500).contains(&status), "a chunk of size {size:?} was answered {status} {answer}");
    }
}

/// What is small on the wire is not let grow in memory.
async fn endure_bombs(server: &Server) {
    let admin = server.admin().await;
    let press = admin.machine_called("Press").await;
    let spaces = vec![b' '; 1 << 20];
    let reading = format!(r#"{{"equipment":{},"timestamp":"{}","values":{{"t":1}}}}"#, press.id, second(0));
    let bombs = [
        ("gzip", bomb(GzEncoder::new(Vec::new(), Compression::best()), &spaces, &reading, GzEncoder::finish)),
        (
            "deflate",
            bomb(ZlibEncoder::new(Vec::new(), Compression::best()), &spaces, &reading, ZlibEncoder::finish),
        ),
        (
            "zstd",
            bomb(
                zstd::Encoder::new(Vec::new(), 19).expect("memory"),
                &spaces,
                &reading,
                zstd::Encoder::finish,
            ),
        ),
    ];
    let before = resident_kib(server);
    for (path, kind) in [("/api/data", "application/json"), ("/api/data/bulk", "application/x-ndjson")] {
        for (coding, packed) in &bombs {
            for (said, status_due) in [(*coding, 413), ("br", 415), ("gzip, gzip", 415)] {
                let head = format!(
                    "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\n\
                     Content-Encoding: {said}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    admin.token(),
                    packed.len()
                );
                let (status, answer, _) = exchange(server, &[head.as_bytes(), packed].concat()).await;
                assert_eq!(status, status_due, "{coding} as {said} to {path} was answered {answer}");
            }
        }
    }
    let grown = resident_kib(server).saturating_sub(before);
    assert!(grown < SLACK_KIB, "200 MiB of nothing made the server grow by {grown} KiB");
}

/// 200 MiB of nothing and a reading behind it, packed.
fn bomb<P: Write>(
    mut packer: P,
    spaces: &[u8],
    reading: &str,
    finish: fn(P) -> std::io::Result<Vec<u8>>,
) -> Vec<u8> {
    for _ in 0..200 {
        packer.write_all(spaces).expect("memory");
    }
    packer.write_all(reading.as_bytes()).expect("memory");
    finish(packer).expect("memory")
}

/// Many at once on one connection are answered in order.
async fn serve_one_after_the_other(server: &Server) {
    let one = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /problems/taken HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let all: String = repeat_n(one, 200).chain([last]).collect();
    let (status, _, rest) = exchange(server, all.as_bytes()).await;
    assert_eq!(status, 200);
    assert_eq!(rest.matches("HTTP/1.1 200").count(), 200, "each is answered");
}

fn resident_kib(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).expect("the server runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    resident.and_then(|text| text.split_whitespace().next()?.parse().ok()).expect("a process has memory")
}
