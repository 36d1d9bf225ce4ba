//! What a store says to the server, understood: statements with the values that go with them.

use crate::proxy::Proxy;
use bytes::BytesMut;
use std::collections::HashMap;
use std::error::Error;
use std::sync::Mutex;
use tokio_postgres::Client;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// A statement as it was executed.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) text: String,
    types: Vec<u32>,
    values: Vec<Value>,
}

/// A value in the bytes in which it was sent.
#[derive(Clone, Debug)]
struct Value(Option<Vec<u8>>);

impl ToSql for Value {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(bytes) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Understands what passes a proxy.
pub(crate) struct Listener {
    proxy: Proxy,
    links: Mutex<Vec<Prepared>>,
}

/// Statements that a link has prepared, by name, with the types of their values.
type Prepared = HashMap<String, (String, Vec<u32>)>;

impl Listener {
    pub(crate) fn at(proxy: Proxy) -> Self {
        Self { proxy, links: Mutex::default() }
    }

    /// What was asked since this was last called. MUST be called when nobody is in the middle of a word.
    pub(crate) fn questions(&self) -> Vec<Said> {
        let mut links = self.links.lock().unwrap();
        let mut said = Vec::new();
        for (number, bytes) in self.proxy.heard().iter().enumerate() {
            let mut reader = Reader(bytes);
            if number == links.len() {
                links.push(Prepared::new());
                reader.greeting();
            }
            said.extend(reader.statements(&mut links[number]));
        }
        said.retain(|said| said.text.starts_with("SELECT"));
        said
    }
}

impl Said {
    /// How the server goes about it, with these values.
    pub(crate) async fn plan(&self, client: &Client) -> String {
        let types: Vec<Type> = self.types.iter().map(|oid| Type::from_oid(*oid).unwrap()).collect();
        let explain = client.prepare_typed(&format!("EXPLAIN {}", self.text), &types).await;
        let explain = explain.unwrap_or_else(|error| panic!("{}: {error:?}", self.text));
        let values: Vec<&(dyn ToSql + Sync)> = self.values.iter().map(|value| value as _).collect();
        let lines = client.query(&explain, &values).await.unwrap();
        lines.iter().map(|line| line.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
    }
}

/// Reads what one client said. See "Message Formats" in PostgreSQL's documentation.
struct Reader<'bytes>(&'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    fn statements(mut self, prepared: &mut Prepared) -> Vec<Said> {
        let mut said = Vec::new();
        while !self.0.is_empty() {
            let kind = self.take(1)[0];
            let length = self.number::<4>();
            let mut message = Reader(self.take(length - 4));
            match kind {
                b'P' => {
                    let (name, text) = (message.text(), message.text());
                    let types = message.many(|message| message.number::<4>() as u32);
                    prepared.insert(name, (text, types));
                }
                b'B' => {
                    let (_portal, name) = (message.text(), message.text());
                    let _formats = message.many(|message| message.number::<2>());
                    let values = message.many(Self::value);
                    let (text, types) = prepared[&name].clone();
                    said.push(Said { text, types, values });
                }
                _ => {}
            }
        }
        said
    }

    /// Before anything else a client says who it is, without naming the kind of message.
    fn greeting(&mut self) {
        let length = self.number::<4>();
        self.take(length - 4);
    }

    fn value(&mut self) -> Value {
        match self.number::<4>() {
            usize::MAX => Value(None),
            length => Value(Some(self.take(length).to_vec())),
        }
    }

    fn many<T>(&mut self, one: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.number::<2>()).map(|_| one(self)).collect()
    }

    fn text(&mut self) -> String {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap();
        let text = String::from_utf8(self.take(length).to_vec()).unwrap();
        self.take(1);
        text
    }

    /// A number of so many bytes; -1 becomes the largest there is.
    fn number<const BYTES: usize>(&mut self) -> usize {
        let bytes = self.take(BYTES);
        if bytes.iter().all(|byte| *byte == 255) {
            return usize::MAX;
        }
        bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    fn take(&mut self, length: usize) -> &'bytes [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }
}
