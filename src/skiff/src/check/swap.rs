//! Swap. Nothing is wrong with it; it is told because memory limits then are not what they seem, and SD cards wear.

use super::finding::Check;
use super::root::Root;

const NAME: &str = "swap";

pub(super) fn check(root: &Root) -> Vec<Check> {
    vec![judge(&root.text("proc/swaps").unwrap_or_default())]
}

/// `Filename Type Size Used Priority`, sizes in KiB.
fn judge(swaps: &str) -> Check {
    let areas: Vec<String> = swaps.lines().skip(1).filter_map(area).collect();
    if areas.is_empty() { Check::pass(NAME, "none") } else { Check::pass(NAME, areas.join(", ")) }
}

fn area(line: &str) -> Option<String> {
    let mut fields = line.split_whitespace();
    let (file, kib) = (fields.next()?, fields.nth(1)?.parse::<u64>().ok()?);
    Some(format!("{} MiB on {file}", kib / 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_listed() {
        let head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert_eq!(judge(head).finding, "none");
        let swaps = format!(
            "{head}/var/swap                               file\t\t102396\t\t0\t\t-2\n/dev/zram0 partition 2048000 0 100\n"
        );
        assert_eq!(judge(&swaps).finding, "99 MiB on /var/swap, 2000 MiB on /dev/zram0");
    }
}
