"""One answer of the kernel's is kept from the gate: `prctl(PR_GET_AUXV)`, which Linux has since 6.4.

By it the gate's libraries find the kernel's own page of code for the time of day. Under valgrind that page is not
there, which valgrind tells everybody who asks in the older ways; this one it does not know, and lets through. Refused
here, the libraries ask in an older way. The filter goes where valgrind is started; the gate is left as it is.
"""

import ctypes
import struct

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
PR_GET_AUXV = 0x41555856
SYS_PRCTL, AUDIT_ARCH_X86_64 = 157, 0xC000003E
EINVAL = 22
# <linux/bpf_common.h>, <linux/seccomp.h>: offsets into `struct seccomp_data`, instructions, results.
NUMBER, ARCH, FIRST_ARGUMENT = 0, 4, 16
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000

PROGRAM = [
    (LOAD, 0, 0, ARCH),
    (EQUAL, 0, 4, AUDIT_ARCH_X86_64),
    (LOAD, 0, 0, NUMBER),
    (EQUAL, 0, 2, SYS_PRCTL),
    (LOAD, 0, 0, FIRST_ARGUMENT),
    (EQUAL, 1, 0, PR_GET_AUXV),
    (RETURN, 0, 0, ALLOW),
    (RETURN, 0, 0, ERRNO | EINVAL),
]


class Filter(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def hide_auxiliary_vector():
    """For this process and those it starts; to be called between fork and exec."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in PROGRAM)
    libc = ctypes.CDLL(None, use_errno=True)
    program = Filter(len(PROGRAM), code)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "the kernel does not take the filter")
