//! seccomp: system calls that a running gate has no use for, and an attacker inside it has, are refused
//! with `EPERM`.
//!
//! A list of what is refused, not of what is allowed: the C library, the allocator and the runtime choose
//! their calls themselves, and change them with an update; a call that such a list forgot would end the
//! gate under load, on a machine nobody tested. The unit in `deploy/` adds systemd's own list of what is
//! allowed, which is kept with the distribution's C library.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

use super::State;

/// What is refused, by what it would be used for.
#[rustfmt::skip]
const REFUSED: &[i64] = &[
    // Another program in place of this one.
    libc::SYS_execve, libc::SYS_execveat,
    // Other processes' memory, registers and files.
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd, libc::SYS_kcmp,
    // Another user.
    libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid, libc::SYS_setregid, libc::SYS_setresuid,
    libc::SYS_setresgid, libc::SYS_setgroups, libc::SYS_setfsuid, libc::SYS_setfsgid, libc::SYS_capset,
    // Another view of the machine.
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot, libc::SYS_move_mount,
    libc::SYS_open_tree, libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick,
    libc::SYS_mount_setattr, libc::SYS_unshare, libc::SYS_setns, libc::SYS_swapon, libc::SYS_swapoff,
    libc::SYS_open_by_handle_at, libc::SYS_name_to_handle_at, libc::SYS_quotactl, libc::SYS_acct,
    libc::SYS_mknodat, libc::SYS_fanotify_init,
    // The kernel itself, and the parts of it that most exploits of it go through.
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_io_uring_setup,
    libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key, libc::SYS_init_module,
    libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_kexec_load, libc::SYS_syslog,
    libc::SYS_reboot, libc::SYS_personality, libc::SYS_lookup_dcookie, libc::SYS_vhangup,
    // The clock and the machine's name: audit records stand on them.
    libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_clock_adjtime, libc::SYS_adjtimex,
    libc::SYS_sethostname, libc::SYS_setdomainname,
];

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const REFUSED_HERE: &[i64] = &[
    libc::SYS_kexec_file_load, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_mknod,
    libc::SYS_uselib, libc::SYS_ustat, libc::SYS_sysfs,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[i64] = &[];

/// On x86-64 the same calls have a second number, of the x32 ABI, and some a third: a filter that knows
/// the first alone is walked around. Numbers 512 to 547 are x32's own.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// Families of sockets that are left: local, IPv4, IPv6, and the one by which the C library asks for the
/// machine's addresses.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Confines this thread and those it starts.
pub(super) fn confine() -> State {
    let program = match program() {
        Ok(program) => program,
        Err(error) => return State::NotAvailable(format!("no filter for this machine: {error}")),
    };
    match apply_filter(&program) {
        Ok(()) => State::InForce(format!("{} of them", REFUSED.len() + REFUSED_HERE.len())),
        Err(seccompiler::Error::Prctl(error)) => State::Failed(format!("the system refuses it: {error}")),
        Err(error) => State::NotAvailable(format!("the kernel does not take the filter: {error}")),
    }
}

fn program() -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in REFUSED.iter().chain(REFUSED_HERE) {
        // No condition: whatever the arguments are.
        rules.insert(*call, Vec::new());
        #[cfg(target_arch = "x86_64")]
        rules.insert(X32 | *call, Vec::new());
    }
    #[cfg(target_arch = "x86_64")]
    rules.extend((512..=547).map(|call| (X32 | call, Vec::new())));
    rules.insert(libc::SYS_socket, vec![other_family()?]);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        std::env::consts::ARCH.try_into()?,
    )?;
    filter.try_into()
}

/// A socket of a family that is not left.
fn other_family() -> Result<SeccompRule, BackendError> {
    let is_not =
        |family: &i32| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *family as u64);
    SeccompRule::new(FAMILIES.iter().map(is_not).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketType, socket};

    /// On a thread of its own: a filter is never taken back.
    fn confined<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| match confine() {
                State::InForce(_) => Some(work()),
                State::NotAvailable(_) => None,
                other => panic!("{other:?}"),
            });
            thread.join().unwrap()
        })
    }

    #[test]
    fn another_program_another_root_and_other_sockets_are_refused_and_work_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let outcome = confined(|| {
            let program = std::process::Command::new("/bin/true").status();
            let refused = |error: Option<i32>| error == Some(libc::EPERM);
            [
                refused(program.err().and_then(|error| error.raw_os_error())),
                refused(
                    rustix::process::chroot(dir.path())
                        .err()
                        .map(|error| error.raw_os_error()),
                ),
                refused(
                    socket(AddressFamily::PACKET, SocketType::RAW, None)
                        .err()
                        .map(|error| error.raw_os_error()),
                ),
                socket(AddressFamily::INET, SocketType::STREAM, None).is_ok(),
                socket(AddressFamily::UNIX, SocketType::STREAM, None).is_ok(),
                std::net::TcpListener::bind("127.0.0.1:0").is_ok(),
                std::fs::write(dir.path().join("x"), "y").is_ok(),
                // A thread made under the filter is under it, too.
                std::thread::spawn(|| std::process::Command::new("/bin/true").status().is_err())
                    .join()
                    .unwrap(),
            ]
        });
        if let Some(outcome) = outcome {
            assert_eq!(outcome, [true; 8]);
        }
    }

    /// The kernel keeps which calls are allowed whatever their arguments (Linux 5.11): for those the filter is not
    /// run at all.
    #[test]
    fn a_call_that_is_left_costs_next_to_nothing_more() {
        const CALLS: u32 = 100_000;
        let each = || {
            let began = std::time::Instant::now();
            for _ in 0..CALLS {
                std::hint::black_box(rustix::process::getppid());
            }
            began.elapsed() / CALLS
        };
        let before = each();
        if let Some(after) = confined(each) {
            eprintln!("{before:?} a call before, {after:?} under the filter");
            assert!(
                after < before + std::time::Duration::from_micros(20),
                "{before:?} {after:?}"
            );
        }
    }

    #[test]
    fn the_filter_fits_into_the_kernels_bound() {
        let length = program().unwrap().len();
        assert!(length < 4096, "{length}");
    }
}
