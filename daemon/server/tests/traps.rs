//! The page of traps names tests that are there.

use std::collections::BTreeSet;
use std::fs;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What is wrong with the rows of `page`, and how many tests they name.
fn judge(page: &str, read: impl Fn(&str) -> Option<String>) -> (usize, Vec<String>) {
    let (mut named, mut wrong) = (BTreeSet::new(), Vec::new());
    let rows = page.lines().filter(|line| line.starts_with("| "));
    for row in rows.filter(|row| !row.starts_with("| trap |") && !row.starts_with("| --- |")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [trap, tests] = cells[..] else {
            wrong.push(format!("{row}: not two cells"));
            continue;
        };
        for test in tests.split(", ") {
            let Some((name, path)) = test.split_once(" in ") else {
                wrong.push(format!("{trap}: no test is named in {test:?}"));
                continue;
            };
            let name = name.trim_matches('`');
            match read(path) {
                None => wrong.push(format!("{trap}: there is no {path}")),
                Some(source) if !is_test(&source, name) => {
                    wrong.push(format!("{trap}: {path} has no test {name}"));
                }
                Some(_) => _ = named.insert((path.to_owned(), name.to_owned())),
            }
        }
    }
    (named.len(), wrong)
}

/// A function of that name right below an attribute that makes it a test.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let heads = [format!("fn {name}("), format!("async fn {name}(")];
    lines.windows(2).any(|pair| {
        let attribute = pair[0].starts_with("#[test") || pair[0].starts_with("#[tokio::test");
        attribute && heads.iter().any(|head| pair[1].starts_with(head.as_str()))
    })
}

#[test]
fn every_trap_has_a_test_that_is_there() {
    let page = fs::read_to_string(format!("{ROOT}/tests/conformance/clients/TRAPS.md"));
    let page = page.expect("the page is there");
    let (named, wrong) = judge(&page, |path| fs::read_to_string(format!("{ROOT}/{path}")).ok());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(named > 60, "only {named} tests are named");
}

#[test]
fn a_row_without_its_test_is_noticed() {
    let source = "#[test]\nfn there() {}\n\nfn helper() {}\n\n#[tokio::test]\nasync fn too() {}";
    let read = |path: &str| (path == "a.rs").then(|| source.to_owned());
    let page = |tests: &str| format!("| trap | test |\n| --- | --- |\n| one | {tests} |\n");
    assert_eq!(judge(&page("`there` in a.rs, `too` in a.rs"), read), (2, Vec::new()));
    for wrong in ["`gone` in a.rs", "`helper` in a.rs", "`there` in b.rs", "", "`there`"] {
        let (named, found) = judge(&page(wrong), read);
        assert_eq!((named, found.len()), (0, 1), "{wrong}: {found:?}");
    }
}
