//! Bodies that come packed: `Content-Encoding`. They are unpacked a small piece at a time, as somebody asks for more, so that
//! what is small on the wire never grows in memory before it is known how large it is.

use crate::body::{broken_off, too_large};
use crate::problem::Problem;
use crate::problem::table::Misuse;
use crate::turns::{Pass, SMALL};
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, HeaderMap};
use bytes::{Bytes, BytesMut};
use domain::error::Error;
use flate2::{Decompress, FlushDecompress, Status};
use futures_util::StreamExt;
use tokio::task::yield_now;
use zstd::stream::raw::{DParameter, Decoder, Operation};

/// The codings that are read, as `Accept-Encoding` tells them.
pub const READ: &str = "gzip, deflate, zstd";

/// How many times larger a body may be unpacked than packed; text that somebody means is ten to thirty times larger.
const MOST_TIMES: u64 = 100;

/// How much is unpacked at once. Others have their turn before the next piece.
const PIECE: usize = 32 * 1024;

/// How far back zstd may refer: what RFC 9659 has every reader of HTTP bodies know.
const WINDOW_LOG: u32 = 23;

/// The same, in bytes: so much memory a body may take as it is unpacked, however long it is.
const WINDOW: u64 = 1 << WINDOW_LOG;

/// How far back gzip may refer, as a power of two.
const GZIP_WINDOW_LOG: u8 = 15;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 1950, the one that HTTP calls `deflate`.
    Deflate,
    /// RFC 8878, any number of frames.
    Zstd,
}

impl Coding {
    /// That of a body; none when it comes as it is.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut codings = headers
            .get_all(CONTENT_ENCODING)
            .flat_map(|value| value.to_str().unwrap_or("?").split(','))
            .map(str::trim)
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"));
        let Some(coding) = codings.next() else {
            return Ok(None);
        };
        if codings.next().is_some() {
            return Err(refused("a body that was packed more than once is not read".to_owned()));
        }
        match coding.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Ok(Some(Self::Gzip)),
            "deflate" => Ok(Some(Self::Deflate)),
            "zstd" => Ok(Some(Self::Zstd)),
            _ => Err(refused(format!(
                "a body with the content coding {coding:?} is not read; send {READ} or none"
            ))),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Zstd => "zstd",
        }
    }

    /// What somebody sent who says that it is packed so.
    fn broken(self, how: &str) -> Problem {
        Problem::malformed(format!("the body is no {} that can be unpacked: {how}", self.name()))
    }
}

fn refused(detail: String) -> Problem {
    Problem::Http(Misuse::UnsupportedCoding, detail)
}

/// The bytes of a body as they come, unpacked.
pub struct Incoming {
    payload: Payload,
    unpacking: Option<Box<Unpacking>>,
    pass: Option<Pass>,
}

impl Incoming {
    /// Those of a body with these headers. A coding that nobody reads is refused.
    pub fn new(headers: &HeaderMap, payload: Payload, pass: Option<Pass>) -> Result<Self, Problem> {
        let coding = Coding::of(headers)?;
        let unpacking = coding.map(Unpacking::new).transpose()?.map(Box::new);
        Ok(Self { payload, unpacking, pass })
    }

    /// Whether they come packed.
    pub fn is_packed(&self) -> bool {
        self.unpacking.is_some()
    }

    /// What comes next; nothing at the end. Whoever stops waiting loses nothing.
    pub async fn next(&mut self) -> Option<Result<Bytes, Problem>> {
        loop {
            if let Some(unpacking) = self.unpacking.as_mut().filter(|unpacking| unpacking.has_more()) {
                if unpacking.taken > 0 {
                    yield_now().await;
                }
                match unpacking.piece() {
                    Ok(piece) if piece.is_empty() => continue,
                    Ok(piece) => return Some(self.hold_window().map(|()| piece)),
                    Err(problem) => return Some(Err(problem)),
                }
            }
            match (self.payload.next().await, &mut self.unpacking) {
                (Some(Ok(chunk)), Some(unpacking)) => unpacking.packed = chunk,
                (Some(Ok(chunk)), None) => return Some(Ok(chunk)),
                (Some(Err(error)), _) => return Some(Err(broken_off(&error))),
                (None, Some(unpacking)) => return unpacking.end().err().map(Err),
                (None, None) => return None,
            }
        }
    }

    /// All of it, no more than so many bytes.
    pub async fn whole(&mut self, limit: usize) -> Result<Bytes, Problem> {
        let mut bytes = BytesMut::new();
        while let Some(piece) = self.next().await {
            let piece = piece?;
            if bytes.len() + piece.len() > limit {
                return Err(too_large(limit));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// Takes room for what a decoder has to remember, which grows with what it has unpacked.
    fn hold_window(&mut self) -> Result<(), Problem> {
        let (Some(unpacking), Some(pass)) = (&mut self.unpacking, &self.pass) else {
            return Ok(());
        };
        let held = match unpacking.coding {
            Coding::Zstd => unpacking.made.min(WINDOW),
            Coding::Gzip | Coding::Deflate => 0,
        };
        let more = usize::try_from(held.saturating_sub(unpacking.held)).unwrap_or(usize::MAX);
        unpacking.held = held;
        if more > 0 { pass.hold(more) } else { Ok(()) }
    }
}

/// A body that is being unpacked.
struct Unpacking {
    coding: Coding,
    engine: Engine,
    /// What came and was not looked at yet.
    packed: Bytes,
    /// Where pieces are put first.
    room: Box<[u8]>,
    /// Whether the last piece filled that, so that there may be more without anything coming.
    is_full: bool,
    /// Whether it may end here.
    is_whole: bool,
    /// How many bytes were looked at, and how many were made of them.
    taken: u64,
    made: u64,
    /// For how many of them room is held.
    held: u64,
}

enum Engine {
    Flate(Decompress),
    Zstd(Decoder<'static>),
}

impl Engine {
    fn of(coding: Coding) -> Result<Self, Problem> {
        Ok(match coding {
            Coding::Gzip => Self::Flate(Decompress::new_gzip(GZIP_WINDOW_LOG)),
            Coding::Deflate => Self::Flate(Decompress::new(true)),
            Coding::Zstd => {
                let limited = Decoder::new().and_then(|mut decoder| {
                    decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map(|()| decoder)
                });
                Self::Zstd(limited.map_err(|error| Error::Fault(error.into()))?)
            }
        })
    }
}

/// How far one step came.
struct Step {
    taken: usize,
    made: usize,
    /// Whether what was packed as a whole is complete.
    is_whole: bool,
}

impl Unpacking {
    fn new(coding: Coding) -> Result<Self, Problem> {
        Ok(Self {
            coding,
            engine: Engine::of(coding)?,
            packed: Bytes::new(),
            room: vec![0; PIECE].into_boxed_slice(),
            is_full: false,
            // No body at all is none that was packed.
            is_whole: true,
            taken: 0,
            made: 0,
            held: 0,
        })
    }

    fn has_more(&self) -> bool {
        self.is_full || !self.packed.is_empty()
    }

    /// The next piece; empty when nothing was made of what was looked at.
    fn piece(&mut self) -> Result<Bytes, Problem> {
        let Step { taken, made, is_whole } = self.step()?;
        if taken == 0 && made == 0 && !is_whole && !self.packed.is_empty() {
            return Err(self.coding.broken("it makes no sense"));
        }
        self.packed = self.packed.split_off(taken);
        self.is_full = made == self.room.len() && !is_whole;
        self.is_whole = is_whole;
        self.taken = self.taken.saturating_add(taken as u64);
        self.made = self.made.saturating_add(made as u64);
        if self.made > SMALL as u64 && self.made > self.taken.saturating_mul(MOST_TIMES) {
            return Err(too_large_unpacked());
        }
        Ok(Bytes::copy_from_slice(self.room.get(..made).unwrap_or_default()))
    }

    fn step(&mut self) -> Result<Step, Problem> {
        let next_begins = self.is_whole && !self.packed.is_empty();
        match &mut self.engine {
            Engine::Flate(engine) => {
                if next_begins && engine.total_in() > 0 {
                    if self.coding == Coding::Deflate {
                        return Err(self.coding.broken("there is something behind its end"));
                    }
                    *engine = Decompress::new_gzip(GZIP_WINDOW_LOG);
                }
                let (taken, made) = (engine.total_in(), engine.total_out());
                let status = engine
                    .decompress(&self.packed, &mut self.room, FlushDecompress::None)
                    .map_err(|error| self.coding.broken(&error.to_string()))?;
                let since = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
                Ok(Step {
                    taken: since(engine.total_in(), taken),
                    made: since(engine.total_out(), made),
                    is_whole: status == Status::StreamEnd,
                })
            }
            Engine::Zstd(engine) => {
                let step = engine
                    .run_on_buffers(&self.packed, &mut self.room)
                    .map_err(|error| self.coding.broken(&error.to_string()))?;
                Ok(Step { taken: step.bytes_read, made: step.bytes_written, is_whole: step.remaining == 0 })
            }
        }
    }

    /// Nothing more comes.
    fn end(&self) -> Result<(), Problem> {
        if self.is_whole { Ok(()) } else { Err(self.coding.broken("its end is missing")) }
    }
}

fn too_large_unpacked() -> Problem {
    let detail = format!(
        "the body grows more than {MOST_TIMES} times when it is unpacked; send it less packed, or in parts"
    );
    Problem::Http(Misuse::TooLarge, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Reply;
    use actix_web::error::PayloadError;
    use actix_web::http::header::HeaderValue;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use futures_util::stream;
    use std::io::Write;

    const ALL: [&str; 3] = ["gzip", "deflate", "zstd"];

    fn pack(coding: &str, bytes: &[u8]) -> Vec<u8> {
        match coding {
            "gzip" => {
                let mut packer = GzEncoder::new(Vec::new(), Compression::default());
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            }
            "deflate" => {
                let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            }
            _ => zstd::encode_all(bytes, 3).unwrap(),
        }
    }

    fn headers(codings: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
        }
        headers
    }

    /// What becomes of a body that comes in chunks of this size.
    async fn unpacked(coding: &str, packed: &[u8], chunk: usize) -> Reply<Vec<u8>> {
        let chunks: Vec<Result<Bytes, PayloadError>> =
            packed.chunks(chunk).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let payload = stream::iter(chunks).boxed_local();
        let mut incoming = Incoming::new(&headers(&[coding]), Payload::Stream { payload }, None)?;
        let mut all = Vec::new();
        while let Some(piece) = incoming.next().await {
            let piece = piece?;
            assert!(piece.len() <= PIECE, "{} bytes at once", piece.len());
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    /// Text that packs well, and not absurdly so.
    fn lines(count: u32) -> Vec<u8> {
        (0..count)
            .flat_map(|n| format!("{{\"n\":{n},\"x\":{}}}\n", n.wrapping_mul(2_654_435_761)).into_bytes())
            .collect()
    }

    #[tokio::test]
    async fn a_body_is_the_same_wherever_its_chunks_end() {
        let text = lines(10_000);
        for coding in ALL {
            let packed = pack(coding, &text);
            for chunk in [1, 7, 1000, usize::MAX] {
                assert!(unpacked(coding, &packed, chunk).await.unwrap() == text, "{coding} by {chunk}");
            }
            let nothing = pack(coding, b"");
            assert!(unpacked(coding, &nothing, 3).await.unwrap().is_empty(), "{coding} of nothing");
            assert!(unpacked(coding, b"", 1).await.unwrap().is_empty(), "no body at all");
        }
    }

    #[tokio::test]
    async fn a_body_that_fills_its_pieces_exactly_is_whole() {
        let text = lines(20_000);
        for coding in ALL {
            for length in [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
                let packed = pack(coding, &text[..length]);
                assert!(
                    unpacked(coding, &packed, 4096).await.unwrap() == text[..length],
                    "{coding} {length}"
                );
            }
        }
    }

    #[tokio::test]
    async fn members_and_frames_follow_each_other_and_a_deflated_body_ends() {
        for coding in ["gzip", "zstd"] {
            let packed = [pack(coding, b"one"), pack(coding, b""), pack(coding, b"two")].concat();
            for chunk in [1, usize::MAX] {
                assert_eq!(unpacked(coding, &packed, chunk).await.unwrap(), b"onetwo", "{coding}");
            }
        }
        let twice = pack("deflate", b"one").repeat(2);
        assert_eq!(unpacked("deflate", &twice, 9).await.unwrap_err().row().status, 400);
    }

    #[tokio::test]
    async fn a_body_that_was_cut_off_or_spoilt_cannot_be_read() {
        let text = lines(3000);
        for coding in ALL {
            let packed = pack(coding, &text);
            for length in [1, 5, packed.len() / 2, packed.len() - 1] {
                let refused = unpacked(coding, &packed[..length], 100).await.unwrap_err();
                assert_eq!(refused.row().status, 400, "{coding} of {length} bytes: {refused}");
            }
            let mut spoilt = packed.clone();
            let middle = spoilt.len() / 2;
            spoilt[middle] ^= 0x55;
            assert!(unpacked(coding, &spoilt, 100).await.is_err(), "{coding} spoilt");
            let other = unpacked(coding, b"{\"username\":\"anna\"}", 100).await.unwrap_err();
            assert_eq!(other.row().code, "malformed_request", "{coding} that is none");
        }
    }

    #[tokio::test]
    async fn what_grows_out_of_all_proportion_is_not_unpacked_to_its_end() {
        let zeros = vec![b' '; 8 << 20];
        for coding in ALL {
            let packed = pack(coding, &zeros);
            assert!(packed.len() < 100_000, "{coding}");
            let refused = unpacked(coding, &packed, usize::MAX).await.unwrap_err();
            assert_eq!(refused.row().code, "too_large", "{coding}");
            assert!(refused.to_string().contains("100 times"), "{refused}");
            let little = pack(coding, &zeros[..SMALL]);
            assert_eq!(unpacked(coding, &little, 100).await.unwrap().len(), SMALL, "{coding}");
        }
    }

    #[test]
    fn codings_are_read_by_name_and_one_at_a_time() {
        let coding = |codings: &[&str]| Coding::of(&headers(codings));
        assert_eq!(coding(&[]).unwrap(), None);
        assert_eq!(coding(&["identity"]).unwrap(), None);
        assert_eq!(coding(&["GZip"]).unwrap(), Some(Coding::Gzip));
        assert_eq!(coding(&["identity, x-gzip"]).unwrap(), Some(Coding::Gzip));
        for refused in [&["br"][..], &["gzip, gzip"], &["gzip", "zstd"], &["gz"], &["\u{e4}"]] {
            let refused = coding(refused).unwrap_err();
            assert_eq!(refused.row().code, "unsupported_coding", "{refused}");
        }
    }

    #[tokio::test]
    async fn a_window_larger_than_everybody_must_know_is_refused() {
        let mut packer = zstd::Encoder::new(Vec::new(), 1).unwrap();
        packer.set_parameter(zstd::zstd_safe::CParameter::WindowLog(27)).unwrap();
        packer.write_all(&lines(10_000)).unwrap();
        let packed = packer.finish().unwrap();
        assert_eq!(unpacked("zstd", &packed, 4096).await.unwrap_err().row().status, 400);
    }
}
