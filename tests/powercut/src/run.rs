//! One disk, one load, many cuts.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use holdfast_base::{Rng, SplitMix64};
use holdfast_crash::clients::Tools;
use holdfast_crash::clock::monotonic_ns;
use holdfast_crash::{Result, free_address, write_history};

use crate::disk::{Cut, Disk};
use crate::guest::{Guest, METRICS, Settings, has_kvm};
use crate::load::{Load, Progress};
use crate::nbd::{Aim, Server};
use crate::survivors::Loss;
use crate::{Arguments, Planted, initramfs};

/// A disk for the log, the states and the objects of a thousand cuts; the file is sparse.
const DISK_BYTES: u64 = 2 << 30;
/// Of an aim. A cut that missed it is made all the same.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of an aim at the restart, where little is written.
const RESTART_PATIENCE: Duration = Duration::from_secs(8);
/// One cut of so many is followed by another, into the restart.
const CUTS_PER_SECOND_CUT: u32 = 3;
/// One cut of so many at least must find frames of the log unflushed, or the run proves nothing.
const CUTS_PER_UNFLUSHED: u32 = 3;
/// Acknowledged on a disk that lies, before it loses them.
const ACKED_ON_LIES: u64 = 300;

/// A guest and its disk, switched on.
struct Machine {
    guest: Guest,
    disk: Server,
}

/// What all machines of a run share.
struct Site {
    settings: Settings,
    medium: std::path::PathBuf,
}

impl Site {
    fn switch_on(&self, rng: &mut SplitMix64) -> Result<Machine> {
        let broken = |error: std::io::Error| format!("{}: {error}", self.medium.display());
        let file = File::options().read(true).write(true).open(&self.medium).map_err(broken)?;
        let disk = Disk::new(file).map_err(broken)?;
        let disk = Server::start(disk, &self.settings.disk(), rng.split())?;
        Ok(Machine { guest: Guest::start(&self.settings)?, disk })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.settings.sockets);
    }
}

impl Machine {
    /// Waits until it serves, and that its disk is what it has to be. Milliseconds.
    fn serve(&mut self) -> Result<u64> {
        let after_ms = self.guest.serve()?;
        match self.guest.said("disk") {
            Some(said) if said.starts_with("write back") => Ok(after_ms),
            said => Err(format!("the guest's disk has no write-back cache to lose: {said:?}")),
        }
    }

    fn cut(
        self,
        aim: Option<Aim>,
        loss: Loss,
        patience: Duration,
        hold: Duration,
    ) -> Result<(Cut, bool)> {
        let cut = self.disk.cut(aim, loss, patience, hold)?;
        self.guest.kill()?;
        Ok(cut)
    }
}

/// Runs all cuts.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let drawn = monotonic_ns() ^ (u64::from(std::process::id()) << 20);
    let seed = arguments.seed.unwrap_or(drawn);
    let work = &arguments.work;
    let _ = fs::remove_dir_all(work);
    fs::create_dir_all(work).map_err(|error| format!("{}: {error}", work.display()))?;
    let cuts = if arguments.planted.is_some() { 1 } else { arguments.cuts };
    let by = if has_kvm() { "KVM" } else { "translation" };
    println!("seed {seed}; {cuts} power cuts in a guest run by {by}");
    let ended = cut_and_judge(arguments, cuts, seed);
    ended.map_err(|fault| {
        let planted = if arguments.planted.is_some() { " --planted lost-flush" } else { "" };
        format!(
            "{fault}\nHistory, disk and the guest's console are in {}. Again: cargo xtask powercut \
             --cuts {cuts} --seed {seed} --wal-backend {} --wal-size {}{planted}",
            work.display(),
            arguments.wal_backend,
            arguments.wal_size
        )
    })
}

fn cut_and_judge(arguments: &Arguments, cuts: u32, seed: u64) -> Result<()> {
    let work = arguments.work.canonicalize().map_err(|error| error.to_string())?;
    let mut rng = SplitMix64::new(seed);
    let medium = work.join("disk.img");
    make_medium(&medium)?;
    let sockets = std::env::temp_dir().join(format!("holdfast-powercut-{}", std::process::id()));
    fs::create_dir_all(&sockets).map_err(|error| format!("{}: {error}", sockets.display()))?;
    let settings = Settings {
        kernel: arguments.guest.join("vmlinuz"),
        initramfs: initramfs::build(&arguments.guest, &arguments.holdfastd, &work)?,
        directory: work.clone(),
        sockets,
        address: free_address()?,
        holdfastd: vec![
            format!("--wal-size={}", arguments.wal_size),
            format!("--wal-backend={}", arguments.wal_backend),
        ],
    };
    let site = Site { settings, medium };
    let tools = Tools::prepare_librdkafka(&work, &arguments.librdkafka)?;
    let mut machine = site.switch_on(&mut rng)?;
    let first_ms = machine.serve()?;
    println!("the guest serves {first_ms} ms after it was switched on, on an empty disk");
    let mut load = Load::start(tools, site.settings.address, &work, &mut rng)?;

    println!("{HEAD}");
    let mut before = Progress::default();
    let mut with_frames = 0;
    for number in 1..=cuts {
        load.wait_for_work(&before)?;
        if arguments.planted == Some(Planted::LostFlush) {
            machine.disk.lie();
            load.wait_for_acks(ACKED_ON_LIES)?;
        }
        let is_planted = arguments.planted.is_some();
        let loss = if is_planted { Loss::All } else { Loss::draw(number - 1, &mut rng) };
        let aim = (!is_planted).then(|| aim(number, &mut rng));
        let metrics = METRICS.map(|name| machine.guest.metric(name));
        let flushes = machine.disk.flushes();
        let (cut, is_met) = machine.cut(aim, loss, PATIENCE, hold(&mut rng))?;
        let told = load.progress();
        load.note(format!("power cut {number}: {cut:?}"));
        load.hold()?;
        with_frames += u32::from(cut.frames > 0);

        let again = if number % CUTS_PER_SECOND_CUT == 0 {
            let loss = Loss::draw(rng.below(6) as u32, &mut rng);
            let aim = Aim::Flush(rng.below(12));
            let mut machine = site.switch_on(&mut rng)?;
            machine.guest.wait("mounted")?;
            let (cut, _) = machine.cut(Some(aim), loss, RESTART_PATIENCE, Duration::ZERO)?;
            load.note(format!("and into the restart: {cut:?}"));
            format!("; again in the restart: {} unflushed, {} kept", cut.unflushed, cut.survived)
        } else {
            String::new()
        };
        machine = site.switch_on(&mut rng)?;
        let boot_ms = machine.serve()?;
        let row = Row { number, told, flushes, cut, aim, is_met, loss, metrics, boot_ms };
        println!("{}{again}", row.line(&machine.guest.said("mounted").unwrap_or_default()));
        let fault = load.look()?;
        if is_planted {
            return judge_planted(fault);
        }
        if let Some(fault) = fault {
            write_history(&work.join("history.jsonl"), &load.history()?)?;
            return Err(format!("after power cut {number}: {fault}"));
        }
        before = load.progress();
        load.go_on()?;
    }
    let (history, fault) = load.finish()?;
    write_history(&work.join("history.jsonl"), &history)?;
    if let Some(fault) = fault {
        return Err(format!("at the end: {fault}"));
    }
    if with_frames * CUTS_PER_UNFLUSHED < cuts {
        return Err(format!(
            "{with_frames} of {cuts} cuts found a frame of the log unflushed: that proves too little"
        ));
    }
    println!("{with_frames} of {cuts} cuts found unflushed frames of the log; nothing was lost");
    Ok(())
}

/// Records must be missing.
fn judge_planted(fault: Option<String>) -> Result<()> {
    match fault {
        Some(fault) if fault.contains("lost-write") => {
            println!("{fault}\nplanted lost-flush: found");
            Ok(())
        }
        Some(fault) => {
            Err(format!("planted lost-flush was found, but not as lost records: {fault}"))
        }
        None => Err("planted lost-flush was NOT found: this test sees nothing".to_owned()),
    }
}

/// Where a cut falls: every kind in turn, frames of the log most of all.
fn aim(number: u32, rng: &mut impl Rng) -> Aim {
    match number % 3 {
        1 => Aim::Frame(rng.below(40)),
        2 => Aim::Flush(rng.below(40)),
        _ => Aim::Sectors(32 + rng.below(480) as usize),
    }
}

/// How long flushes are held back before a cut: mostly long enough for an acknowledgement that did
/// not wait for one to reach the client, sometimes not at all.
fn hold(rng: &mut impl Rng) -> Duration {
    if rng.chance(1, 4) { Duration::ZERO } else { Duration::from_millis(50 + rng.below(250)) }
}

/// A file system on a sparse file, its tables written at once: the kernel must not do it later, under
/// the load.
fn make_medium(path: &Path) -> Result<()> {
    let broken = |error: std::io::Error| format!("{}: {error}", path.display());
    File::create(path).and_then(|file| file.set_len(DISK_BYTES)).map_err(broken)?;
    let mut command = Command::new("mkfs.ext4");
    command.args(["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]).arg(path);
    let made = command.status().map_err(|error| format!("mkfs.ext4: {error}"))?;
    if made.success() { Ok(()) } else { Err(format!("mkfs.ext4 ended: {made}")) }
}

const HEAD: &str = "\
cut  acked  in     commits flushes unflushed kept  (older) frames  boot   aim, loss; since boot: objects put, \
states kept, flushes of states, log in use; objects at boot
            flight                 sectors                         ms";

struct Row {
    number: u32,
    told: Progress,
    flushes: u64,
    cut: Cut,
    aim: Option<Aim>,
    is_met: bool,
    loss: Loss,
    metrics: [u64; METRICS.len()],
    boot_ms: u64,
}

impl Row {
    fn line(&self, objects: &str) -> String {
        let Row { told, cut, metrics, .. } = self;
        let lied = match cut.lied {
            0 => String::new(),
            lied => format!(", {lied} sectors flushed by word only"),
        };
        format!(
            "{:>3} {:>6} {:>6} {:>7} {:>7} {:>9} {:>5} {:>7} {:>6} {:>6}  {}{}, {}{lied}; {} put, {} states, {} \
             flushes, {} KiB; {objects}",
            self.number,
            told.acked.iter().sum::<u64>(),
            told.in_flight,
            told.commits.iter().sum::<u64>(),
            self.flushes,
            cut.unflushed,
            cut.survived,
            cut.older,
            cut.frames,
            self.boot_ms,
            self.aim.map_or("any moment", Aim::name),
            if self.is_met || self.aim.is_none() { "" } else { " (missed)" },
            self.loss.name(),
            metrics[0],
            metrics[1],
            metrics[2],
            metrics[3] / 1024,
        )
    }
}
