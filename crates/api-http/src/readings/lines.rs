//! Lines, cut out of a stream of bytes as it comes. None is held that is longer than it may be.

use bytes::{Buf, Bytes};
use memchr::memchr;

/// The most bytes that a line may have.
pub(crate) const LONGEST: usize = 64 * 1024;

/// A line of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Its text, without what ends it; nothing when it was too long.
    pub(crate) text: Option<Bytes>,
}

impl Line {
    /// Whether there is nothing in it.
    pub(crate) fn is_blank(&self) -> bool {
        self.text.as_ref().is_some_and(|text| text.trim_ascii().is_empty())
    }
}

/// What has come and was not cut yet. Lines share the memory of what they came in; only those that came in pieces are
/// put together.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// What came last, as far as it was not cut.
    fresh: Bytes,
    /// The beginning of the line under way, from what came before.
    begun: Vec<u8>,
    /// Whether the line under way is too long, and so not kept.
    too_long: bool,
    /// How many lines were cut.
    cut: u64,
}

impl Lines {
    /// Takes in what came; whether a line is complete now.
    pub(crate) fn push(&mut self, bytes: Bytes) -> bool {
        self.fresh =
            if self.fresh.is_empty() { bytes } else { [self.fresh.as_ref(), &bytes].concat().into() };
        let ends = memchr(b'\n', &self.fresh).is_some();
        if !ends {
            self.keep_the_rest();
        }
        ends
    }

    /// The next line that is complete.
    pub(crate) fn next(&mut self) -> Option<Line> {
        let Some(end) = memchr(b'\n', &self.fresh) else {
            self.keep_the_rest();
            return None;
        };
        let text = self.fresh.split_to(end);
        self.fresh.advance(1);
        Some(self.line(text))
    }

    /// What stands behind the last end of a line, once no more will come.
    pub(crate) fn last(mut self) -> Option<Line> {
        self.keep_the_rest();
        (self.too_long || !self.begun.is_empty()).then(|| self.line(Bytes::new()))
    }

    /// The line that ends in this.
    fn line(&mut self, end: Bytes) -> Line {
        self.cut += 1;
        let text = if self.begun.is_empty() { end } else { self.joined(&end) };
        let fits = !std::mem::take(&mut self.too_long) && text.len() <= LONGEST;
        Line { number: self.cut, text: fits.then_some(text) }
    }

    fn joined(&mut self, end: &[u8]) -> Bytes {
        self.begun.extend_from_slice(end);
        std::mem::take(&mut self.begun).into()
    }

    /// The line under way does not end in what has come. If it is too long already, there is no use in keeping it.
    fn keep_the_rest(&mut self) {
        let rest = std::mem::take(&mut self.fresh);
        self.too_long |= self.begun.len() + rest.len() > LONGEST;
        if self.too_long {
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(&rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lines of these chunks: their numbers, and their texts or nothing.
    fn cut(chunks: &[&[u8]]) -> Vec<(u64, Option<String>)> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for chunk in chunks {
            lines.push(Bytes::copy_from_slice(chunk));
            all.extend(std::iter::from_fn(|| lines.next()));
        }
        all.extend(lines.last());
        let text = |line: Line| line.text.map(|text| String::from_utf8(text.to_vec()).unwrap());
        all.into_iter().map(|line| (line.number, text(line))).collect()
    }

    #[test]
    fn lines_are_the_same_wherever_chunks_end() {
        let bytes = b"one\n\ntwo\r\nthree";
        let whole = cut(&[bytes]);
        let texts: Vec<_> = whole.iter().map(|(number, text)| (*number, text.as_deref().unwrap())).collect();
        assert_eq!(texts, [(1, "one"), (2, ""), (3, "two\r"), (4, "three")]);
        for at in 0..bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(cut(&[head, tail]), whole, "cut at {at}");
        }
        let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(cut(&bytewise), whole);
    }

    #[test]
    fn nothing_stands_behind_a_last_line_that_ends() {
        assert_eq!(cut(&[b"one\n"]).len(), 1);
        assert_eq!(cut(&[]).len(), 0);
    }

    #[test]
    fn a_line_that_is_too_long_is_let_go_and_the_next_one_is_found() {
        let fits = "x".repeat(LONGEST);
        let long = "x".repeat(LONGEST + 1);
        let expected = vec![(1, Some(fits.clone())), (2, None), (3, Some("y".to_owned())), (4, None)];
        let whole = format!("{fits}\n{long}\ny\n{long}");
        assert_eq!(cut(&[whole.as_bytes()]), expected);
        for size in [1000, 4096, 65_537, 100_000] {
            let chunks: Vec<&[u8]> = whole.as_bytes().chunks(size).collect();
            assert_eq!(cut(&chunks), expected, "chunks of {size}");
        }
    }

    #[test]
    fn no_more_is_held_than_a_line_may_have() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert!(!lines.push(Bytes::from_static(&[b'x'; 4096])));
            assert!(lines.begun.capacity() <= 2 * LONGEST && lines.fresh.is_empty());
        }
        assert!(lines.push(Bytes::from_static(b"\n")));
        assert_eq!(lines.next(), Some(Line { number: 1, text: None }));
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_come(
            bytes in prop::collection::vec(prop_oneof![4 => Just(b'a'), 1 => Just(b'\n'), 1 => Just(b' ')], 0..200),
            sizes in prop::collection::vec(1_usize..40, 1..20),
        ) {
            let mut chunks = Vec::new();
            let mut rest = &bytes[..];
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, behind) = rest.split_at((*size).min(rest.len()));
                chunks.push(chunk);
                rest = behind;
            }
            let text = String::from_utf8(bytes.clone()).unwrap();
            let whole = text.strip_suffix('\n').unwrap_or(&text);
            let expected: Vec<_> = if text.is_empty() { Vec::new() } else { whole.split('\n').collect() };
            let expected: Vec<_> =
                (1..).zip(expected).map(|(number, line)| (number, Some(line.to_owned()))).collect();
            prop_assert_eq!(cut(&chunks), expected);
        }
    }
}
