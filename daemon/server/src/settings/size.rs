//! Sizes and times with their units, as people write them.

/// 2^20.
pub(crate) const MIB: u64 = 1 << 20;
/// 2^30.
pub(crate) const GIB: u64 = 1 << 30;

/// What a size looks like, for messages.
pub(crate) const SIZE_EXAMPLE: &str = "512MiB or 8GiB (MB and GB are powers of ten)";
/// What a time looks like, for messages.
pub(crate) const DURATION_EXAMPLE: &str = "500ms, 10s, 5min or 1h";

/// Bytes of `text`: a whole number and a unit.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text);
    let factor = match unit.as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => MIB,
        "g" | "gib" => GIB,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Milliseconds of `text`: a whole number and a unit, which must be there unless it is 0.
pub(crate) fn parse_duration_ms(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text);
    let number: u64 = number.parse().ok()?;
    let factor = match unit.as_str() {
        "" if number == 0 => 1,
        "ms" => 1,
        "s" | "sec" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn number_and_unit(text: &str) -> (&str, String) {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    (number, unit.trim().to_ascii_lowercase())
}

/// The shortest way to write a size.
pub(crate) fn shown(bytes: u64) -> String {
    let units = [("TiB", 1 << 40), ("GiB", GIB), ("MiB", MIB), ("KiB", 1 << 10)];
    let fits = |(_, factor): &&(&str, u64)| bytes >= *factor && bytes.is_multiple_of(*factor);
    match units.iter().find(fits) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

/// The shortest way to write a time.
pub(crate) fn shown_ms(ms: u64) -> String {
    let units = [("h", 3_600_000), ("min", 60_000), ("s", 1_000)];
    let fits = |(_, factor): &&(&str, u64)| ms >= *factor && ms.is_multiple_of(*factor);
    match units.iter().find(fits) {
        Some((unit, factor)) => format!("{}{unit}", ms / factor),
        None => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_two_and_of_ten() {
        for (text, bytes) in
            [("512MiB", 512 * MIB), ("1g", GIB), ("20 MB", 20_000_000), ("16777216", 16 * MIB)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "x", "1.5GiB", "-1", "99999999999999999999", "12QiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_need_a_unit() {
        for (text, ms) in [("500ms", 500), ("10s", 10_000), ("5 min", 300_000), ("0", 0)] {
            assert_eq!(parse_duration_ms(text), Some(ms), "{text}");
        }
        for bad in ["10", "", "s", "1.5s", "-1s", "3 weeks"] {
            assert_eq!(parse_duration_ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for bytes in [1, 1024, 3 * MIB, 8 * GIB, MIB + 1] {
            assert_eq!(parse_size(&shown(bytes)), Some(bytes));
        }
        for ms in [0, 500, 90_000, 3_600_000] {
            assert_eq!(parse_duration_ms(&shown_ms(ms)), Some(ms));
        }
    }
}
