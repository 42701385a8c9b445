//! Every form of one answer, as golden strings.

use super::*;
use serde_json::json;

fn answer() -> Answer {
    let mut table = Table::new(&["TOPIC", ">PARTITIONS"]);
    table.row(["orders".to_owned(), "8".to_owned()]);
    table.row(["a\tb\u{1b}[2J".to_owned(), "12".to_owned()]);
    Answer::new(json!({"topics": [{"name": "orders", "partitions": 8}], "note": "it's \"no\"\n"}))
        .line("two topics")
        .table(table)
        .names(["orders".to_owned(), "a\tb".to_owned()])
}

#[test]
fn on_a_terminal_columns_are_aligned_and_lines_have_no_trailing_blanks() {
    let expected = "two topics\n\nTOPIC          PARTITIONS\norders                  8\na\\tb\\u{1b}[2J          12\n";
    assert_eq!(answer().render(None, true), expected);
    assert_eq!(answer().render(Some(Format::Table), false), expected);
}

#[test]
fn into_a_pipe_go_rows_with_tabs_and_nothing_a_terminal_obeys() {
    let text = answer().render(None, false);
    assert_eq!(text, "TOPIC\tPARTITIONS\norders\t8\na\\tb\\u{1b}[2J\t12\n");
    assert!(!text.contains('\u{1b}'));
    let words = Answer::new(json!({})).line("done").render(None, false);
    assert_eq!(words, "done\n");
}

#[test]
fn json_is_one_document_and_names_are_one_per_line() {
    let text = answer().render(Some(Format::Json), true);
    assert_eq!(
        text,
        "{\n  \"note\": \"it's \\\"no\\\"\\n\",\n  \"topics\": [\n    {\n      \"name\": \"orders\",\n      \"partitions\": 8\n    }\n  ]\n}\n"
    );
    assert_eq!(answer().render(Some(Format::Name), true), "orders\na\\tb\n");
}

#[test]
fn yaml_never_lets_text_become_something_else() {
    let text = answer().render(Some(Format::Yaml), true);
    assert_eq!(
        text,
        "note: \"it's \\\"no\\\"\\n\"\ntopics:\n  -\n    name: \"orders\"\n    partitions: 8\n"
    );
    let odd = json!({
        "no": "no", "1": "2026-11-21", "a b": "\u{2028}\u{7f}\u{0}é😀: #", "empty": [], "none": {},
        "deep": [[1, []], null, true, 1e300, 0.5],
    });
    assert_eq!(
        yaml(&odd),
        "\"1\": \"2026-11-21\"\n\"a b\": \"\\u2028\\u007f\\u0000é😀: #\"\ndeep:\n  -\n    - 1\n    - []\n  - null\n  - true\n  - 1.0e+300\n  - 0.5\nempty: []\n\"no\": \"no\"\nnone: {}\n"
    );
    assert_eq!(yaml(&json!("x")), "\"x\"\n");
}

#[test]
fn sizes_have_units() {
    assert_eq!(counted(1, "node") + &counted(0, " node"), "1 node0  nodes");
    assert_eq!(size(512.0), "512 B");
    assert_eq!(size(1536.0), "1.5 KiB");
    assert_eq!(size(3.0 * 1024.0 * 1024.0), "3.0 MiB");
}
