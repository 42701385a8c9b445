//! Getting a ring from this kernel, and locking it down before its first use.
//!
//! | flags | kernel | what they give |
//! | --- | --- | --- |
//! | SINGLE_ISSUER, DEFER_TASKRUN | 6.1 | completions are worked off inside our own `enter`, never by an interrupt of the lane |
//! | COOP_TASKRUN | 5.19 | no interrupt for completions; they come with the next system call |
//! | none | 5.11 | as it was |
//!
//! The ring starts disabled, is restricted to three opcodes, and is enabled by the thread that
//! first submits (which SINGLE_ISSUER then makes its owner). Restrictions outlive a takeover of
//! the process: seccomp sees `io_uring_enter`, never what is in the ring.

use std::fs;
use std::io;

use io_uring::register::Restriction;
use io_uring::{Builder, IoUring, opcode};
use nix::libc;

use crate::{DiskError, DiskErrorKind};

/// Slots of the submission queue. At most [`super::ring::TRANSFERS_MAX`] transfers and one
/// wake-up read are in the ring, so there is always room.
pub(super) const ENTRIES: u32 = 128;

/// Everything the lane asks of a ring. Waking is a READ of the eventfd.
const OPCODES: [u8; 3] = [opcode::Read::CODE, opcode::Write::CODE, opcode::Fsync::CODE];

/// Why the kernel gives no ring, in an operator's words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UringForbidden {
    /// What was found.
    pub why: String,
    /// What would change it.
    pub what_to_try: String,
}

/// A disabled, restricted ring.
pub(super) fn build() -> Result<IoUring, UringForbidden> {
    let choose: [fn(&mut Builder); 3] = [
        |flags| {
            flags.setup_single_issuer().setup_defer_taskrun();
            flags.setup_taskrun_flag().setup_submit_all();
        },
        |flags| {
            flags.setup_coop_taskrun().setup_taskrun_flag().setup_submit_all();
        },
        |_| {},
    ];
    let mut refused = io::Error::from_raw_os_error(libc::EINVAL);
    for choice in choose {
        let mut flags = IoUring::builder();
        flags.setup_r_disabled();
        choice(&mut flags);
        match flags.build(ENTRIES) {
            Ok(ring) => return restrict(ring),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => refused = error,
            Err(error) => return Err(explain(&error)),
        }
    }
    Err(explain(&refused))
}

fn restrict(ring: IoUring) -> Result<IoUring, UringForbidden> {
    if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
        return Err(too_old());
    }
    let mut allowed = OPCODES.map(Restriction::sqe_op);
    match ring.submitter().register_restrictions(&mut allowed) {
        Ok(()) => Ok(ring),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Err(too_old()),
        Err(error) => Err(explain(&error)),
    }
}

fn too_old() -> UringForbidden {
    UringForbidden {
        why: "the kernel's io_uring lacks timed waits or restrictions".to_owned(),
        what_to_try: "a kernel of 5.11 or later".to_owned(),
    }
}

fn explain(error: &io::Error) -> UringForbidden {
    let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    explain_errno(error, disabled.trim())
}

/// `disabled` is the value of the sysctl, empty where there is none.
fn explain_errno(error: &io::Error, disabled: &str) -> UringForbidden {
    let (why, what_to_try) = match (error.raw_os_error(), disabled) {
        (Some(libc::EPERM), "2") => (
            "the kernel forbids io_uring to everybody (kernel.io_uring_disabled = 2)",
            "sysctl kernel.io_uring_disabled=0, or stay with pwritev2",
        ),
        (Some(libc::EPERM), "1") => (
            "the kernel forbids io_uring to our group (kernel.io_uring_disabled = 1)",
            "put the service's group into sysctl kernel.io_uring_group, or stay with pwritev2",
        ),
        (Some(libc::EPERM | libc::EACCES), _) => (
            "a security policy (seccomp of a container or unit, SELinux) forbids io_uring",
            "allow io_uring_setup, io_uring_enter and io_uring_register, or stay with pwritev2",
        ),
        (Some(libc::ENOSYS), _) => (
            "there is no io_uring: it is not in the kernel, or seccomp hides it",
            "a kernel of 5.11 or later, a container profile that allows it, or stay with pwritev2",
        ),
        (Some(libc::ENOMEM), _) => (
            "the ring's memory would exceed the limit on locked memory (RLIMIT_MEMLOCK)",
            "LimitMEMLOCK=8M in the unit, or ulimit -l",
        ),
        (Some(libc::EMFILE | libc::ENFILE), _) => {
            ("no file descriptor is left for the ring", "LimitNOFILE= in the unit, or ulimit -n")
        }
        _ => ("the kernel refused to set up a ring", "stay with pwritev2, and tell us"),
    };
    UringForbidden { why: format!("{why}: {error}"), what_to_try: what_to_try.to_owned() }
}

impl From<UringForbidden> for DiskError {
    fn from(forbidden: UringForbidden) -> DiskError {
        DiskError {
            kind: DiskErrorKind::Denied,
            attempted: "setting up io_uring".to_owned(),
            detail: format!("{}; try: {}", forbidden.why, forbidden.what_to_try),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_its_cause_and_a_remedy() {
        let explained = |errno, sysctl| explain_errno(&io::Error::from_raw_os_error(errno), sysctl);
        assert!(explained(libc::EPERM, "2").what_to_try.contains("kernel.io_uring_disabled=0"));
        assert!(explained(libc::EPERM, "1").what_to_try.contains("kernel.io_uring_group"));
        assert!(explained(libc::EPERM, "0").why.contains("seccomp"));
        assert!(explained(libc::ENOSYS, "").why.contains("no io_uring"));
        assert!(explained(libc::ENOMEM, "0").what_to_try.contains("LimitMEMLOCK="));
    }
}
