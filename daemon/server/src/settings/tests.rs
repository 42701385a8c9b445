//! What wins, what is refused, and that the pages say what the tables do.

use super::*;
use crate::report::Code;
use clap::Parser;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

struct Files(PathBuf);

impl Files {
    fn new(files: &[(&str, &str)]) -> Files {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("holdfast-settings-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("conf.d")).expect("made");
        for (name, text) in files {
            fs::write(path.join(name), text).expect("written");
        }
        Files(path)
    }

    fn load(&self, flags: &[&str], environment: &[(&str, &str)]) -> Result<Loaded, Report> {
        let file = self.0.join("holdfast.toml");
        let config = ["holdfastd", "--config", file.to_str().expect("a name of ours")];
        load_with(config.iter().chain(flags).copied(), environment)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn load_with<'a>(
    flags: impl Iterator<Item = &'a str>,
    environment: &[(&str, &str)],
) -> Result<Loaded, Report> {
    let arguments = Arguments::try_parse_from(flags).expect("parses");
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment: Vec<_> = environment.iter().map(owned).collect();
    load_from(&arguments, &environment)
}

fn flags(more: &[&str]) -> Result<Options, Report> {
    let fixed = ["holdfastd", "--dev", "--data-dir", "/tmp/x"];
    load_with(fixed.iter().chain(more).copied(), &[]).map(|loaded| loaded.options)
}

#[test]
fn the_later_source_wins_and_is_named() {
    let files = Files::new(&[
        ("holdfast.toml", "[wal]\nsize = \"1GiB\"\n[memory]\ntail_cache = \"100MiB\"\n"),
        ("conf.d/20-b.toml", "[wal]\nsize = \"3GiB\"\n[stop]\ndrain = \"3s\""),
        ("conf.d/10-a.toml", "[wal]\nsize = \"2GiB\"\n[stop]\ndrain = \"2s\""),
        ("conf.d/notes.txt", "not read"),
    ]);
    let wal = |flags: &[&str], environment: &[(&str, &str)]| {
        let loaded = files.load(flags, environment).expect("good");
        let held = loaded.effective.own("wal.size").clone();
        (loaded.options.wal_bytes >> 30, held.source.to_string())
    };
    let (size, source) = wal(&[], &[]);
    assert_eq!(size, 3);
    assert!(source.ends_with("conf.d/20-b.toml:2"), "{source}");
    let environment = [("HOLDFAST_WAL_SIZE", "4GiB")];
    assert_eq!(wal(&[], &environment), (4, "environment HOLDFAST_WAL_SIZE".to_owned()));
    assert_eq!(wal(&["--wal-size", "5GiB"], &environment), (5, "flag --wal-size".to_owned()));
    assert_eq!(wal(&["--set", "wal.size=6GiB"], &environment), (6, "flag --set".to_owned()));
    let loaded = files.load(&[], &[]).expect("good");
    assert_eq!(loaded.options.tail_cache_bytes, 100 << 20, "the file still holds elsewhere");
    assert_eq!(loaded.options.drain_limit.as_secs(), 3);
    assert_eq!(loaded.effective.own("data.directory").source, Source::Default);
    assert!(loaded.effective.shown().contains("wal.size = \"3GiB\""));
}

#[test]
fn a_name_nobody_knows_is_refused_with_what_was_meant() {
    let cases: &[(&str, &str, &str)] = &[
        ("[wal]\nsise = \"1GiB\"", ":2", "did you mean wal.size?"),
        ("[memory]\n\ntailcache = \"1GiB\"", ":3", "did you mean memory.tail_cache?"),
        ("num.partitions = 3", ":1", "in [kafka]?"),
        ("[kafka]\n\"num.partitons\" = 3", ":2", "did you mean num.partitions?"),
        ("[kafka]\nretention.ms = 3", ":2", "log.retention.ms"),
        ("[log]\ntail_cache = \"1GiB\"", ":2", "did you mean memory.tail_cache?"),
    ];
    for (text, line, why) in cases {
        let files = Files::new(&[("holdfast.toml", text)]);
        let report = files.load(&[], &[]).expect_err(text);
        assert_eq!(report.code, Code::SettingUnknown, "{report}");
        assert!(report.what.contains(line) && report.why.contains(why), "{report}");
    }
    let none = Files::new(&[("holdfast.toml", "")]);
    let report = none.load(&[], &[("HOLDFAST_WAL_SIZ", "1GiB")]).expect_err("misspelt");
    assert!(report.why.contains("HOLDFAST_WAL_SIZE"), "{report}");
    let report = none.load(&["--set", "wall.size=1GiB"], &[]).expect_err("misspelt");
    assert!(report.why.contains("wal.size"), "{report}");
    let loaded = none.load(&[], &[("HOLDFAST_KAFKA_LIBS", "/x")]).expect("somebody else's");
    assert!(loaded.warnings[0].contains("HOLDFAST_KAFKA_LIBS"));
}

#[test]
fn kafkas_settings_are_judged_by_their_registry() {
    let good = "[kafka]\nauto.create.topics.enable = false\n\"max.connections\" = 5\n\
                \"max.connections.per.ip\" = 2";
    let loaded = Files::new(&[("holdfast.toml", good)]);
    let loaded = loaded.load(&[], &[("HOLDFAST_KAFKA_NUM_PARTITIONS", "7")]).expect("good");
    assert_eq!(loaded.options.kafka["auto.create.topics.enable"], "false");
    assert_eq!(loaded.options.kafka["max.connections.per.ip"], "2");
    assert_eq!(loaded.options.kafka["num.partitions"], "7");
    for (bad, part) in [
        ("[kafka]\nnum.partitions = \"many\"", "whole number"),
        ("[kafka]\nlisteners = \"PLAINTEXT://:1\"", "listener.address"),
        ("[kafka]\nnode.id = 4", "identity"),
    ] {
        let report = Files::new(&[("holdfast.toml", bad)]).load(&[], &[]).expect_err(bad);
        assert_eq!(report.code, Code::SettingInvalid, "{report}");
        assert!(report.what.contains(":2") && report.try_next.contains(part), "{report}");
    }
    let idle = Files::new(&[("holdfast.toml", "[kafka]\nbackground.threads = 3")]);
    let warnings = idle.load(&[], &[]).expect("good").warnings;
    assert!(warnings[0].contains("background.threads has no effect"), "{warnings:?}");
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let report = load_with(["holdfastd", "--config", "/nowhere/x.toml"].into_iter(), &[]);
    assert_eq!(report.expect_err("named and missing").code, Code::ConfigUnreadable);
    let report = Files::new(&[("holdfast.toml", "[wal\n")]).load(&[], &[]).expect_err("no TOML");
    assert_eq!(report.code, Code::ConfigUnreadable);
    assert!(report.what.contains("line 1"), "{report}");
}

#[test]
fn a_wildcard_is_never_advertised() {
    let code = |more: &[&str]| flags(more).err().map(|report| report.code);
    let refused = Some(Code::CannotAdvertise);
    assert_eq!(code(&["--listen", "0.0.0.0:9092"]), refused);
    assert_eq!(code(&["--listen", "[::]:9092"]), refused);
    let both = ["--listen", "0.0.0.0:9092", "--advertise", "192.0.2.7:19092"];
    let host = "192.0.2.7".to_owned();
    let advertised = flags(&both).expect("reachable").advertised;
    assert_eq!(advertised, holdfast_broker::Endpoint { host, port: 19092 });
    assert_eq!(code(&["--listen", "0.0.0.0:9092", "--advertise", ":9092"]), refused);
    assert_eq!(code(&["--advertise", "0.0.0.0:9092"]), refused);
}

#[test]
fn a_node_called_localhost_is_advertised_where_it_listens() {
    let advertised = |listen: &str, advertise: &[&str]| {
        let all = [&["--listen", listen][..], advertise].concat();
        flags(&all).expect("reachable").advertised.host
    };
    let by_name = ["--advertise", "localhost:9092"];
    assert_eq!(advertised("127.0.0.1:9092", &by_name), "127.0.0.1", "::1 may be tried first");
    assert_eq!(advertised("0.0.0.0:9092", &by_name), "127.0.0.1");
    assert_eq!(advertised("[::1]:9092", &by_name), "localhost");
    assert_eq!(advertised("localhost:9092", &[]), "127.0.0.1");
}

#[test]
fn a_wrong_value_is_refused_with_the_right_ones() {
    for (flag, part) in [
        ("--wal-size=1.5GiB", "512MiB"),
        ("--wal-size=1MiB", "16MiB"),
        ("--wal-backend=io-uring", "pwritev2"),
        ("--set=stop.drain=10", "500ms"),
        ("--set=stop.drain=3d", "10min"),
        ("--set=read.at_once=0", "256"),
        ("--set=admin.allow_remote=yes", "true or false"),
        ("--set=log.format=xml", "json"),
        ("--set=log.level=a=b=c", "debug"),
        ("--listen=9092", "127.0.0.1:9092"),
        ("--set=memory.in_flight=1MiB", "128MiB"),
        ("--store=/srv/objects", "s3://bucket/prefix"),
        ("--store=s3://key:secret@bucket", "s3://bucket/prefix"),
        ("--set=store.endpoint=s3.site:9000", "https://"),
        ("--set=store.credentials=etc/key", "systemd credential"),
        ("--set=store.ca=ca.pem", "absolute path"),
        ("--set=store.encryption=sse-kms", "store.kms_key"),
        ("--set=store.kms_key=site", "sse-kms"),
        ("--set=store.addressing=dns", "virtual"),
    ] {
        let report = flags(&[flag]).expect_err(flag);
        assert_eq!(report.code, Code::Usage, "{report}");
        assert!(report.try_next.contains(part), "{report}");
    }
    let report = flags(&["--wal-backend", "io-uring"]).expect_err("misspelt");
    assert!(report.why.contains("did you mean io_uring?"), "{report}");
    let in_file = Files::new(&[("holdfast.toml", "[wal]\nsize = 7")]);
    assert_eq!(in_file.load(&[], &[]).expect_err("small").code, Code::SettingInvalid);
}

#[test]
fn a_store_is_described_by_its_settings() {
    use holdfast_tier::store::{Checksum, Encryption, S3Options};
    let plain = flags(&["--store", "s3://history/site-a"]).expect("good");
    assert_eq!(plain.store_url.as_deref(), Some("s3://history/site-a"));
    let defaults = S3Options {
        region: "us-east-1".to_owned(),
        credentials: Some("store-credentials".into()),
        ..S3Options::default()
    };
    assert_eq!(plain.store, defaults);
    let text = "[store]\nurl = \"s3://history\"\nendpoint = \"https://s3.site:9000\"\n\
                ca = \"/etc/holdfast/ca.pem\"\ncredentials = \"/etc/holdfast/key\"\n\
                encryption = \"sse-kms\"\nkms_key = \"site\"\nchecksum = \"crc64nvme\"\n\
                addressing = \"virtual\"";
    let store = Files::new(&[("holdfast.toml", text)]).load(&[], &[]).expect("good").options.store;
    assert_eq!(store.endpoint.map(|it| it.to_string()).as_deref(), Some("https://s3.site:9000"));
    assert_eq!(store.ca.as_deref(), Some(Path::new("/etc/holdfast/ca.pem")));
    assert_eq!(store.encryption, Encryption::SseKms { key: "site".to_owned() });
    assert_eq!((store.checksum, store.virtual_hosted), (Checksum::Crc64Nvme, true));
}

#[test]
fn a_development_node_is_smaller_and_reads_no_file_of_the_machine() {
    let dev = flags(&[]).expect("good");
    assert_eq!((dev.wal_bytes >> 30, dev.tail_cache_bytes >> 20), (2, 64));
    let report = load_with(["holdfastd", "--dev"].into_iter(), &[]).expect_err("no directory");
    assert!(report.try_next.contains("--data-dir"), "{report}");
    let server = Files::new(&[("holdfast.toml", "")]).load(&[], &[]).expect("good").options;
    assert_eq!((server.wal_bytes >> 30, server.tail_cache_bytes >> 20), (8, 256));
}

#[test]
fn admin_answers_this_machine_alone_unless_allowed() {
    let set = |text: &str| format!("--set=admin.address={text}");
    let report = flags(&[&set("0.0.0.0:9644")]).expect_err("remote");
    assert_eq!(report.code, Code::AdminRefused);
    assert!(report.try_next.contains("admin.allow_remote"), "{report}");
    let allowed = flags(&[&set("0.0.0.0:9644"), "--set=admin.allow_remote=true"]).expect("said so");
    assert!(!allowed.admin.expect("on").is_default);
    assert!(flags(&[&set("off")]).expect("good").admin.is_none());
    assert!(flags(&[&set("[::1]:1")]).is_ok() && flags(&[]).expect("good").admin.is_some());
}

#[test]
fn the_sample_file_says_what_holds_without_it() {
    let (_, _, sample) = docs::PAGES[0];
    let empty = Files::new(&[("holdfast.toml", "")]).load(&[], &[]).expect("good");
    // With every setting uncommented it means the same as with none.
    let settings: String = sample()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let own = settings.split("[kafka]").next().expect("the part before").to_owned();
    let all = Files::new(&[("holdfast.toml", &own)]).load(&[], &[]).expect("a good sample");
    assert_eq!(all.effective.changes(&empty.effective), Vec::<String>::new());
    assert_eq!(all.effective.own("wal.size").source.to_string().split(':').count(), 2);
    Files::new(&[("holdfast.toml", &settings)]).load(&[], &[]).expect("Kafka's examples are right");
    Files::new(&[("holdfast.toml", &sample())]).load(&[], &[]).expect("as delivered");
}

#[test]
fn changes_are_named_by_key() {
    let before = flags(&[]).map(|_| ()).and_then(|()| {
        Files::new(&[("holdfast.toml", "[kafka]\ngroup.max.size = 9")]).load(&[], &[])
    });
    let text = "[wal]\nsize = \"3GiB\"\n[kafka]\nmax.connections = 4\n[log]\nlevel = \"debug\"";
    let after = Files::new(&[("holdfast.toml", text)]).load(&[], &[]).expect("good");
    let changes = after.effective.changes(&before.expect("good").effective);
    let expected = ["wal.size", "log.level", "kafka.group.max.size", "kafka.max.connections"];
    assert_eq!(changes, expected);
    let reloaded: Vec<bool> = changes.iter().map(|key| is_reloaded(key)).collect();
    assert_eq!(reloaded, [false, true, false, true]);
}

#[test]
fn every_committed_page_is_what_the_tables_say() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/docs");
    for (name, file, page) in docs::PAGES {
        let committed = fs::read_to_string(format!("{directory}/{file}")).unwrap_or_default();
        assert!(
            committed == page(),
            "packaging/docs/{file} is out of date; refresh it with\n  cargo run -p holdfast-server \
             --bin holdfastd -- --print-docs {name} > packaging/docs/{file}"
        );
    }
}

/// Whatever stands in a file, the answer is settings or a report that says what to try.
#[test]
fn a_file_that_was_damaged_or_written_by_an_enemy_is_settings_or_a_report() {
    use holdfast_base::{Rng, SplitMix64};
    const SAMPLE: &str = include_str!("../../../../packaging/docs/holdfast.toml");
    let real = SAMPLE.replace("\n#", "\n");
    let seeds = [SAMPLE, &real, "[wal]\nsize = \"8GiB\"\n[kafka]\n\"num.partitions\" = 3\n"];
    let mut rng = SplitMix64::new(7);
    let mut refused = 0_u32;
    for round in 0..3_000 {
        let mut bytes = seeds[round % seeds.len()].as_bytes().to_vec();
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            match rng.below(4) {
                0 => bytes[at] = b"[]{}\"'=.#\n\\\0"[rng.below(12) as usize],
                1 => bytes.truncate(at.max(1)),
                2 => {
                    let part = bytes[at..bytes.len().min(at + 40)].to_vec();
                    bytes.splice(at..at, part);
                }
                _ => bytes[at] ^= 1 << rng.below(7),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let taken = file::parse(Path::new("x.toml"), &text)
            .and_then(Effective::of)
            .and_then(|effective| Options::of(&effective, &mut Vec::new()));
        if let Err(report) = taken {
            refused += 1;
            assert!(!report.what.is_empty() && !report.try_next.is_empty(), "{report}");
        }
    }
    assert!(refused > 500, "damage is seen: {refused}");
}
