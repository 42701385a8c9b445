//! How `consume` writes a record: a pattern such as `%k\t%v\n`.
//!
//! | sign | meaning |
//! | --- | --- |
//! | `%k` `%v` | key, value; nothing for a null |
//! | `%o` `%p` | offset, partition |
//! | `%t` `%T` | timestamp in milliseconds, and as RFC 3339 |
//! | `%h` | headers, `key=value` with commas |
//! | `%%` | a percent sign |
//! | `\n` `\t` `\0` `\\` | newline, tab, zero byte, backslash |
//!
//! `json` alone writes one object per record; bytes that are not UTF-8 are then told in base 16.

use holdfast_batch::Record;
use serde_json::{Value, json};

use crate::errors::safe;
use crate::when::show_time;

/// A parsed pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Pattern {
    Json,
    Pieces(Vec<Piece>),
}

/// Of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    Key,
    Value,
    Offset,
    Partition,
    Timestamp,
    Time,
    Headers,
}

/// See the table above.
pub(crate) fn parse(text: &str) -> Result<Pattern, String> {
    if text == "json" {
        return Ok(Pattern::Json);
    }
    let mut pieces = Vec::new();
    let mut plain = Vec::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let piece = match character {
            '%' => match rest.next() {
                Some('%') => {
                    plain.push(b'%');
                    continue;
                }
                Some('k') => Piece::Key,
                Some('v') => Piece::Value,
                Some('o') => Piece::Offset,
                Some('p') => Piece::Partition,
                Some('t') => Piece::Timestamp,
                Some('T') => Piece::Time,
                Some('h') => Piece::Headers,
                _ => return Err("after % comes k, v, o, p, t, T, h or %".to_owned()),
            },
            '\\' => {
                plain.push(match rest.next() {
                    Some('n') => b'\n',
                    Some('t') => b'\t',
                    Some('0') => 0,
                    Some('\\') => b'\\',
                    _ => return Err("after \\ comes n, t, 0 or \\".to_owned()),
                });
                continue;
            }
            other => {
                plain.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(piece);
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(Pattern::Pieces(pieces))
}

/// Appends a record. On a terminal its bytes are shown so that they cannot command it.
pub(crate) fn write(
    out: &mut Vec<u8>,
    pattern: &Pattern,
    topic: &str,
    partition: i32,
    record: &Record<'_>,
    terminal: bool,
) {
    let Pattern::Pieces(pieces) = pattern else {
        out.extend_from_slice(json_line(topic, partition, record).to_string().as_bytes());
        out.push(b'\n');
        return;
    };
    let bytes = |out: &mut Vec<u8>, bytes: &[u8]| {
        if terminal {
            out.extend_from_slice(safe(&String::from_utf8_lossy(bytes)).as_bytes());
        } else {
            out.extend_from_slice(bytes);
        }
    };
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Key => bytes(out, record.key.unwrap_or_default()),
            Piece::Value => bytes(out, record.value.unwrap_or_default()),
            Piece::Offset => out.extend_from_slice(record.offset.to_string().as_bytes()),
            Piece::Partition => out.extend_from_slice(partition.to_string().as_bytes()),
            Piece::Timestamp => out.extend_from_slice(record.timestamp_ms.to_string().as_bytes()),
            Piece::Time => out.extend_from_slice(show_time(record.timestamp_ms).as_bytes()),
            Piece::Headers => {
                for (at, header) in record.headers.enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    bytes(out, header.key);
                    out.push(b'=');
                    bytes(out, header.value.unwrap_or_default());
                }
            }
        }
    }
}

fn json_line(topic: &str, partition: i32, record: &Record<'_>) -> Value {
    let headers: Vec<Value> = record
        .headers
        .map(|header| json!({"key": bytes_json(Some(header.key)), "value": bytes_json(header.value)}))
        .collect();
    json!({
        "topic": topic, "partition": partition, "offset": record.offset,
        "timestamp_ms": record.timestamp_ms, "key": bytes_json(record.key),
        "value": bytes_json(record.value), "headers": headers,
    })
}

/// Text as text; anything else as `{"base16": ...}`, so that the two cannot be confused.
fn bytes_json(bytes: Option<&[u8]>) -> Value {
    match bytes.map(std::str::from_utf8) {
        None => Value::Null,
        Some(Ok(text)) => Value::String(text.to_owned()),
        Some(Err(_)) => {
            let bytes = bytes.unwrap_or_default();
            json!({"base16": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use holdfast_batch::{BatchBuilder, Codec, Limits, OpenBatch, RecordDraft};

    fn written(pattern: &str, terminal: bool) -> String {
        let draft = RecordDraft {
            headers: vec![(Bytes::from("a"), Some(Bytes::from("1"))), (Bytes::from("b"), None)],
            ..RecordDraft::keyed(1000, "k", &b"v\x1b[2J\xff"[..])
        };
        let batch = BatchBuilder::new(Codec::None).record(draft).build().unwrap();
        let open = OpenBatch::open(&batch, &Limits::default()).unwrap();
        let record = open.records().next().unwrap();
        let mut out = Vec::new();
        write(&mut out, &parse(pattern).unwrap(), "t", 3, &record, terminal);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_pattern_writes_what_it_names() {
        let text = written("%p:%o %t %T %k [%h] 100%%\\n\\t\\\\", false);
        assert_eq!(text, "3:0 1000 1970-01-01T00:00:01.000Z k [a=1,b=] 100%\n\t\\");
    }

    #[test]
    fn bytes_go_through_a_pipe_as_they_are_and_cannot_command_a_terminal() {
        assert_eq!(written("%v", false), "v\u{1b}[2J\u{fffd}");
        assert_eq!(written("%v", true), "v\\u{1b}[2J\u{fffd}");
    }

    #[test]
    fn json_tells_text_from_bytes() {
        let line: Value = serde_json::from_str(&written("json", true)).unwrap();
        assert_eq!(line["key"], "k");
        assert_eq!(line["value"], json!({"base16": "761b5b324aff"}));
        assert_eq!(line["headers"][1], json!({"key": "b", "value": null}));
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for wrong in ["%", "%q", "a\\", "\\x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
