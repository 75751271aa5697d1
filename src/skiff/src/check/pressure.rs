//! Pressure stall information, by which the kernel tells that memory runs short before it is gone.
//!
//! Many kernels for boards (Raspberry Pi OS's among them) have it and leave it off until the command line says `psi=1`.

use super::boot;
use super::finding::Check;
use super::root::Root;

const NAME: &str = "pressure";

struct Facts {
    told: bool,
    boot: boot::Facts,
}

pub(super) fn check(root: &Root) -> Vec<Check> {
    // Where it is off, some kernels show the file and refuse to read it.
    vec![judge(&Facts { told: root.bytes("proc/pressure/memory").is_some(), boot: boot::Facts::read(root) })]
}

fn judge(facts: &Facts) -> Check {
    if facts.told {
        return Check::pass(NAME, "the kernel tells when memory runs short");
    }
    let finding = "off: memory that runs short shows only when the kernel kills for it";
    Check::warn(NAME, finding, facts.boot.remedy(&["psi=1"]))
}

#[cfg(test)]
mod tests {
    use super::super::root::Sample;
    use super::*;

    #[test]
    fn switched_off_it_takes_a_word_on_the_command_line() {
        let told = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        let judged = |files: &[(&str, &str)]| check(&Sample::of(files).root()).remove(0);
        assert_eq!(judged(&[("proc/pressure/memory", told)]).outcome.word(), "pass");
        let off = judged(&[("boot/firmware/cmdline.txt", "console=tty1\n")]);
        assert!(
            off.remedy()
                .unwrap()
                .contains("` psi=1` to the end of the one line in /boot/firmware/cmdline.txt")
        );
    }
}
