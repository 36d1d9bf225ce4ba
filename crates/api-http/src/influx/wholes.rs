//! Lines put together: the text of a field may go on in further lines, and nobody knows that of a line before it is read.

use bytes::Bytes;
use memchr::memchr;
use std::collections::VecDeque;

/// How much may be added to a line whose text goes on: no text of a reading is longer. A line that is longer itself waits for none.
const MOST_ADDED: usize = 4096;

/// How often a line is tried again with what was added to it, all of it from its beginning.
const MOST_TRIES: usize = 16;

/// Something that may be a point: a line, or several as far as they belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// The number of its first line.
    pub(super) number: u64,
    pub(super) text: Bytes,
}

/// What a try to read something came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// It was dealt with.
    Done,
    /// It does not end where its text does; nothing was done about it.
    Open,
    /// It goes wrong before its end; nothing was done about it.
    Wrong,
}

/// Lines that came and were not dealt with yet.
///
/// A line whose text does not end waits until a line with a quote comes, and is tried again with all in between. If that makes
/// no sense it is bad by itself, and the others are read on their own: who forgets a quote loses one point, not all that follow.
/// How long a line may be that waits, and how often it is tried, is limited, so that lines cost what their bytes do.
#[derive(Debug, Default)]
pub(super) struct Wholes {
    lines: VecDeque<Whole>,
    /// A line that waits, and those that were added to it.
    waiting: Vec<Whole>,
    added: usize,
    tries: usize,
}

impl Wholes {
    /// Takes in a line.
    pub(super) fn push(&mut self, line: Whole) {
        self.lines.push_back(line);
    }

    /// Has `read` try all that can be tried; whether something joined is tried it is told, too. What `read` is given as bad it
    /// deals with. When no more lines come nothing is left waiting.
    pub(super) fn read_all(&mut self, is_over: bool, reader: &mut impl Reader) {
        loop {
            while let Some(line) = self.lines.pop_front() {
                if self.waiting.is_empty() {
                    self.begin(line, reader);
                } else {
                    self.add(line, reader);
                }
            }
            if !is_over || self.waiting.is_empty() {
                return;
            }
            self.give_up(reader);
        }
    }

    /// The number of the line that waits.
    pub(super) fn first_waiting(&self) -> Option<u64> {
        self.waiting.first().map(|line| line.number)
    }

    fn begin(&mut self, line: Whole, reader: &mut impl Reader) {
        match reader.read(&line, false) {
            Tried::Open if line.text.len() > MOST_ADDED => reader.refuse(&line),
            Tried::Open => self.waiting.push(line),
            Tried::Done | Tried::Wrong => {}
        }
    }

    fn add(&mut self, line: Whole, reader: &mut impl Reader) {
        let has_quote = memchr(b'"', &line.text).is_some();
        self.added += line.text.len() + 1;
        self.waiting.push(line);
        let tried = match has_quote {
            _ if self.added > MOST_ADDED => Tried::Wrong,
            true => self.try_again(reader),
            false => Tried::Open,
        };
        match tried {
            Tried::Done => self.forget(),
            Tried::Open => {}
            Tried::Wrong => self.give_up(reader),
        }
    }

    fn try_again(&mut self, reader: &mut impl Reader) -> Tried {
        self.tries += 1;
        match self.joined().map(|joined| reader.read(&joined, true)) {
            Some(Tried::Open) if self.tries >= MOST_TRIES => Tried::Wrong,
            Some(tried) => tried,
            None => Tried::Open,
        }
    }

    fn joined(&self) -> Option<Whole> {
        let number = self.first_waiting()?;
        let texts: Vec<&[u8]> = self.waiting.iter().map(|line| &*line.text).collect();
        Some(Whole { number, text: texts.join(&b'\n').into() })
    }

    /// The line that waits is bad; those that were added to it have not been read yet.
    fn give_up(&mut self, reader: &mut impl Reader) {
        let mut lines = std::mem::take(&mut self.waiting).into_iter();
        self.forget();
        if let Some(first) = lines.next() {
            reader.refuse(&first);
        }
        lines.rev().for_each(|line| self.lines.push_front(line));
    }

    fn forget(&mut self) {
        self.waiting.clear();
        (self.added, self.tries) = (0, 0);
    }
}

/// Reads what may be a point.
pub(super) trait Reader {
    /// Deals with it if it is complete. What is joined and goes wrong is not dealt with.
    fn read(&mut self, whole: &Whole, is_joined: bool) -> Tried;

    /// Deals with a line whose text never ends.
    fn refuse(&mut self, line: &Whole);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes for a point what has an even number of quotes, unless it holds an exclamation mark.
    #[derive(Default)]
    struct Even {
        good: Vec<(u64, String)>,
        bad: Vec<u64>,
        /// How many bytes were read in all.
        bytes: usize,
    }

    impl Reader for Even {
        fn read(&mut self, whole: &Whole, is_joined: bool) -> Tried {
            let text = String::from_utf8(whole.text.to_vec()).unwrap();
            self.bytes += text.len();
            if text.matches('"').count() % 2 == 1 {
                return Tried::Open;
            }
            match (text.contains('!'), is_joined) {
                (true, true) => return Tried::Wrong,
                (true, false) => self.bad.push(whole.number),
                (false, _) => self.good.push((whole.number, text)),
            }
            Tried::Done
        }

        fn refuse(&mut self, line: &Whole) {
            self.bad.push(line.number);
        }
    }

    fn read(lines: &[&str]) -> (Vec<(u64, String)>, Vec<u64>) {
        let (mut wholes, mut even) = (Wholes::default(), Even::default());
        for (number, line) in (1..).zip(lines) {
            wholes.push(Whole { number, text: Bytes::copy_from_slice(line.as_bytes()) });
            wholes.read_all(false, &mut even);
        }
        wholes.read_all(true, &mut even);
        (even.good, even.bad)
    }

    fn good(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
        expected.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
    }

    #[test]
    fn a_text_that_goes_over_several_lines_is_one() {
        let (read, bad) = read(&["a", "b \"one", "two", "three\" 7", "c"]);
        assert_eq!(read, good(&[(1, "a"), (2, "b \"one\ntwo\nthree\" 7"), (5, "c")]));
        assert!(bad.is_empty());
    }

    #[test]
    fn a_quote_that_was_forgotten_costs_its_own_line_and_no_other() {
        assert_eq!(read(&["a \"", "b", "c"]), (good(&[(2, "b"), (3, "c")]), vec![1]));
        assert_eq!(read(&["a \"", "b", "!c\""]), (good(&[(2, "b")]), vec![1, 3]));
        let long = "x".repeat(MOST_ADDED);
        assert_eq!(read(&["a \"", &long, "b\""]), (good(&[(2, &long)]), vec![1, 3]));
    }

    /// Reads as `Even`, but that the text of the first line never ends.
    #[derive(Default)]
    struct Endless(Even);

    impl Reader for Endless {
        fn read(&mut self, whole: &Whole, is_joined: bool) -> Tried {
            let tried = self.0.read(whole, is_joined);
            if whole.number == 1 { Tried::Open } else { tried }
        }

        fn refuse(&mut self, line: &Whole) {
            self.0.refuse(line);
        }
    }

    #[test]
    fn a_line_is_not_tried_again_without_end() {
        let (mut wholes, mut endless) = (Wholes::default(), Endless::default());
        for number in 1..=1000 {
            wholes.push(Whole { number, text: Bytes::from_static(b"\"\"") });
        }
        wholes.read_all(true, &mut endless);
        let Endless(Even { good, bad, bytes }) = endless;
        assert_eq!((good.last().map(|(number, _)| *number), bad), (Some(1000), vec![1]));
        assert!(bytes < 3000, "{bytes} bytes were read of 2000");
    }

    #[test]
    fn lines_cost_what_their_bytes_do_whatever_they_hold() {
        let long = format!("\"{}", "x".repeat(60_000));
        let lines: Vec<&str> =
            std::iter::once(long.as_str()).chain(std::iter::repeat_n("\"\"", 1000)).collect();
        let (mut wholes, mut even) = (Wholes::default(), Even::default());
        for (number, line) in (1..).zip(&lines) {
            wholes.push(Whole { number, text: Bytes::copy_from_slice(line.as_bytes()) });
        }
        wholes.read_all(true, &mut even);
        assert_eq!((even.good.len(), even.bad), (1000, vec![1]));
        assert_eq!(even.bytes, long.len() + 2000, "a long line waits for none");
    }

    #[test]
    fn it_is_known_which_line_waits() {
        let (mut wholes, mut even) = (Wholes::default(), Even::default());
        for (number, text, waiting) in
            [(1, "a", None), (2, "b \"", Some(2)), (3, "c", Some(2)), (4, "d\"", None)]
        {
            wholes.push(Whole { number, text: Bytes::from_static(text.as_bytes()) });
            wholes.read_all(false, &mut even);
            assert_eq!(wholes.first_waiting(), waiting, "after line {number}");
        }
    }
}
