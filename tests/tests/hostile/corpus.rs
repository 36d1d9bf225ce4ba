//! What is sent in place of what is meant: text that is none, numbers that are too much, other types, other structure.

use std::iter::repeat_n;

/// Longer than any field, and just short enough for a body.
const MEGABYTE: usize = 1_000_000;

/// Of everything that could be sent in one place this much is sent in this one: all of it when `TEST_HOSTILE=full`, else a part
/// that is another one in the next place.
#[allow(clippy::disallowed_methods, reason = "whoever runs the tests says by the environment how much of it")]
pub(crate) fn share<T>(all: &[T], place: usize) -> impl Iterator<Item = &T> {
    let is_all = std::env::var("TEST_HOSTILE").is_ok_and(|wish| wish == "full");
    let parts = if is_all { 1 } else { PARTS };
    all.iter().skip(place % parts).step_by(parts)
}

/// So many places have had all.
const PARTS: usize = 4;

/// In place of the value of a field: bytes that are put where a JSON value is due. Some of it is no JSON at all.
pub(crate) fn values() -> Vec<Vec<u8>> {
    let quoted = texts().into_iter().map(|text| [b"\"", &text[..], b"\""].concat());
    let plain = VALUES.iter().map(|value| value.as_bytes().to_vec());
    let long = [
        [b"\"".to_vec(), vec![b'x'; MEGABYTE], b"\"".to_vec()].concat(),
        [vec![b'9'; 400], b".5".to_vec()].concat(),
        nested(b'[', b']', 100),
        nested(b'[', b']', 100_000),
        [repeat_n("{\"a\":", 200).collect::<String>(), "1".to_owned(), "}".repeat(200)].concat().into_bytes(),
        format!("[{}0]", "0,".repeat(10_000)).into_bytes(),
    ];
    quoted.chain(plain).chain(long).collect()
}

/// Inside of quotes, as JSON spells it.
fn texts() -> Vec<Vec<u8>> {
    let spelt = SPELT.iter().map(|text| text.as_bytes().to_vec());
    spelt.chain(BROKEN.iter().map(|bytes| bytes.to_vec())).collect()
}

const SPELT: [&str; 37] = [
    "",
    " ",
    "\\u0000",
    "nul\\u0000in the middle",
    "\\ud800",
    "\\udc00\\ud800",
    "\\ud83d rest",
    "\\ufeffbom",
    "\\u202Egnp.exe",
    "\\u200b",
    "a\\u0301\\u0301\\u0301\\u0301",
    "\\ufdfa",
    "\\u0130\\u0131\\u00df\\ufb01",
    "👩\u{200d}👩\u{200d}👧\u{200d}👦",
    "\u{10ffff}",
    "tab\\tline\\nfeed\\r\\nSet-Cookie: a=b",
    "%00",
    "%2F..%2F..%2Fetc%2Fpasswd",
    "../../etc/passwd",
    ";x",
    "a/b//c/",
    "' OR 1=1 --",
    "100%_\\\\",
    "${jndi:ldap://127.0.0.1/a}",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "null",
    "NaN",
    "1e400",
    "0000-00-00",
    "2024-02-30",
    "infinity",
    "epoch",
    "9999-12-31T23:59:60",
    "-262143-01-01T00:00:00Z",
    "+262142-12-31T23:59:59.999999Z",
    "2024-05-06T07:00:00+99:99",
];

/// Bytes that are no UTF-8: overlong, a surrogate, beyond the last character, cut short, and one that never stands alone. A
/// raw NUL is UTF-8, and may still not stand in JSON.
const BROKEN: [&[u8]; 7] =
    [b"\xc0\xaf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xff", b"\0"];

const VALUES: [&str; 33] = [
    "null",
    "true",
    "0",
    "-0",
    "-0.0",
    "-1",
    "1.5",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "1e308",
    "1e400",
    "-1e400",
    "1e-400",
    "5e-324",
    "NaN",
    "Infinity",
    "+1",
    "01",
    "0x10",
    "1.",
    "[]",
    "{}",
    "[null]",
    "[[]]",
    "[\"\\u0000\"]",
    "{\"\\u0000\":1}",
    "{\"a\":1,\"a\":2}",
    "{\"\":{\"\":[1e400]}}",
];

fn nested(open: u8, close: u8, depth: usize) -> Vec<u8> {
    [vec![open; depth], vec![close; depth]].concat()
}

/// In place of a whole document, made from one that would do.
pub(crate) fn documents(good: &str) -> Vec<Vec<u8>> {
    let twice = good.strip_suffix('}').map(|start| format!("{start},{}", good.trim_start_matches('{')));
    let of_text = [
        String::new(),
        " ".to_owned(),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "1e400".to_owned(),
        "\"x\"".to_owned(),
        format!("[{good}]"),
        format!("\u{feff}{good}"),
        format!("{good}{good}"),
        format!("{good}\0"),
        format!("{good}x"),
        format!("{{\"__proto__\":{good}}}"),
        format!("{{\"{}\":1}}", "k".repeat(100_000)),
        format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)),
        " ".repeat(MEGABYTE),
        twice.unwrap_or_default(),
    ];
    let utf16 = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    of_text.into_iter().map(String::into_bytes).chain([utf16, vec![0; 1000], vec![0xff; 1000]]).collect()
}

/// In place of a segment of a path. None of it names anything.
pub(crate) const SEGMENTS: [&str; 32] = [
    "%00",
    "a%00b",
    "%2F",
    "1%2F..%2F1",
    "..",
    ".",
    "%2e%2e",
    "..%5c..",
    ";x",
    "1;x=1",
    "%",
    "%z",
    "%zz",
    "%ff",
    "%c0%af",
    "%ed%a0%80",
    "%E2%80%AE1",
    "%D9%A1",
    "%EF%BC%91",
    "-0",
    "-1",
    "0",
    "+999",
    "999.0",
    "0999",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e400",
    "NaN",
    "null",
    "%0d%0aX:1",
];

/// In place of the value of a parameter, as it stands in a query.
pub(crate) fn query_values() -> Vec<String> {
    let escape = |byte: &u8| format!("%{byte:02x}");
    let spelt = SPELT.iter().map(|text| text.as_bytes()).chain(BROKEN);
    let escaped = spelt.map(|bytes| bytes.iter().map(escape).collect());
    let plain = VALUES.iter().map(|value| value.as_bytes().iter().map(escape).collect());
    let raw = RAW_QUERY.map(str::to_owned);
    escaped.chain(plain).chain(raw).chain(["x".repeat(4000), "%F0%9F%91%A9".repeat(300)]).collect()
}

const RAW_QUERY: [&str; 14] =
    ["", "%", "%z", "%zz", "%u0000", "+", "a;b", "a&&b", "=", "a,b,,c", "[]", "-", "-id,id,-id", "id%00"];

/// In place of the value of a header.
pub(crate) fn headers() -> Vec<Vec<u8>> {
    let plain = HEADERS.iter().map(|value| value.as_bytes().to_vec());
    let broken: [&[u8]; 4] = [b"\xff\xfe", b"\"\xc0\xaf\"", b"\"1\"\t", "\"ü\"".as_bytes()];
    plain
        .chain(broken.map(<[u8]>::to_vec))
        .chain([vec![b'x'; 129], vec![b'"'; 4000], b"a,".repeat(1000)])
        .collect()
}

const HEADERS: [&str; 22] = [
    "",
    "\"",
    "\"\"",
    "\"1",
    "1",
    "W/\"1\"",
    "\"-1\"",
    "\"9223372036854775808\"",
    "\"18446744073709551616\"",
    "\"999\", \"998\"",
    "\"a\\\"b\"",
    "Bearer",
    "Bearer x.y.z",
    "Bearer eyJhbGciOiJub25lIn0.e30.",
    "Basic YTpi",
    "ttk_",
    "application/json; charset=\"",
    "*/*;q=2, ;,;=",
    "gzip;q=nan",
    "bytes=0-,-1",
    "999999999999999999999-1",
    "../../x",
];
