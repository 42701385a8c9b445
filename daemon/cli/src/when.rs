//! Times as people write them, and times as records carry them.
//!
//! | text | meaning |
//! | --- | --- |
//! | `500ms` `10s` `5min` `2h` `1d` | a duration; a bare number is seconds |
//! | `1763726400000` | milliseconds since 1970 |
//! | `2026-11-21` `2026-11-21T12:00:00Z` `2026-11-21T12:00:00.5+01:00` | RFC 3339, UTC without an offset |
//! | `-15min` | so long ago |

use std::time::Duration;

/// A duration.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time: write 500ms, 10s, 5min, 2h or 1d");
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..at].parse().map_err(|_| wrong())?;
    let unit_ms = match &text[at..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)
}

/// A point in time, in milliseconds since 1970.
pub(crate) fn parse_time(text: &str, now_ms: i64) -> Result<i64, String> {
    let wrong = || {
        format!(
            "{text:?} is no time: write 2026-11-21T12:00:00Z, milliseconds since 1970, or -15min"
        )
    };
    if let Some(ago) = text.strip_prefix('-') {
        let ago = i64::try_from(parse_duration(ago)?.as_millis()).map_err(|_| wrong())?;
        return Ok(now_ms.saturating_sub(ago));
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| wrong());
    }
    rfc3339(text).ok_or_else(wrong)
}

fn rfc3339(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00:00Z"),
    };
    let mut parts = date.splitn(3, '-');
    let (year, month, day) =
        (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let (clock, offset_ms) = match time.find(['Z', 'z', '+', '-']) {
        None => (time, 0),
        Some(at) if matches!(&time[at..], "Z" | "z") => (&time[..at], 0),
        Some(at) => {
            let (hours, minutes) = time[at + 1..].split_once(':')?;
            let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
            let offset = (hours * 60 + minutes) * 60_000;
            if hours > 23 || minutes > 59 {
                return None;
            }
            (&time[..at], if time[at..].starts_with('-') { -offset } else { offset })
        }
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.splitn(3, ':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |second| digits(second, 2))?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds * 1_000 + millis - offset_ms)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Whole years first, then whole months; leap days by the rule of 4, 100 and 400.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let leap_days_before = |year: i64| {
        let last = year - 1;
        last.div_euclid(4) - last.div_euclid(100) + last.div_euclid(400)
    };
    let years = (year - 1970) * 365 + leap_days_before(year) - leap_days_before(1970);
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    years + months + day - 1
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn show_time(time_ms: i64) -> String {
    let (mut days, in_day) = (time_ms.div_euclid(86_400_000), time_ms.rem_euclid(86_400_000));
    // Bounded: a record may claim any time at all.
    if !(-700_000..3_000_000).contains(&days) {
        return time_ms.to_string();
    }
    // Never too late: the loop below only goes on.
    let mut year = 1970 + days.div_euclid(if days < 0 { 365 } else { 366 });
    days -= days_since_1970(year, 1, 1);
    while days >= 365 + i64::from(is_leap(year)) {
        days -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, millis) = (in_day / 1_000 % 60, in_day % 1_000);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("2min"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "1.5s", "10 s", "-1s", "99999999999999999999s", "9999999999999999d"]
        {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_understood_and_shown_alike() {
        for (text, time_ms) in [
            ("1970-01-01", 0),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2026-11-21T12:00:00Z", 1_795_262_400_000),
            ("2026-11-21T13:00:00.25+01:00", 1_795_262_400_250),
            ("1969-12-31T23:59:59.999Z", -1),
        ] {
            assert_eq!(parse_time(text, 0), Ok(time_ms), "{text}");
            assert_eq!(parse_time(&show_time(time_ms), 0), Ok(time_ms), "{text}");
        }
        assert_eq!(show_time(1_795_262_400_250), "2026-11-21T12:00:00.250Z");
        assert_eq!(parse_time("1795262400250", 0), Ok(1_795_262_400_250));
        assert_eq!(parse_time("-15min", 1_000_000), Ok(100_000));
        for wrong in
            ["", "2026-02-29", "2026-13-01", "tomorrow", "2026-11-21T25:00:00Z", "2026-11-21T1:00Z"]
        {
            assert!(parse_time(wrong, 0).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_day_of_a_thousand_years_is_shown_as_it_is_understood() {
        for day in (-150_000..250_000).step_by(7) {
            let time_ms = day * 86_400_000 + 1;
            assert_eq!(parse_time(&show_time(time_ms), 0), Ok(time_ms));
        }
        assert_eq!(show_time(i64::MAX), i64::MAX.to_string());
    }
}
