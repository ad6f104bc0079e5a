//! Dates without a clock (RFC 3501 §9, `date` and `date-time`).

use core::fmt;

use crate::grammar::{Expected, ParseError, Parsed, fail, whole};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const SECONDS_PER_DAY: i64 = 86_400;

/// A day of the Gregorian calendar, in the years 0 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// `None` if there is no such day. `month` and `day` count from 1.
    #[must_use]
    pub const fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        if year > 9999 || month < 1 || month > 12 || day < 1 || day > days_in(year, month) {
            return None;
        }
        Some(Self { year, month, day })
    }

    /// The day that many days after 1 January 1970; `None` beyond the year 9999 or before the year 0.
    #[must_use]
    pub fn from_days(days: i64) -> Option<Self> {
        // Eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
        let days = days.checked_add(719_468)?;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = u8::try_from(of_year - (153 * from_march + 2) / 5 + 1).ok()?;
        let month = u8::try_from(if from_march < 10 { from_march + 3 } else { from_march - 9 }).ok()?;
        let year = year_of_era.checked_add(era.checked_mul(400)?)?.checked_add(i64::from(month <= 2))?;
        Self::new(u16::try_from(year).ok()?, month, day)
    }

    /// Days since 1 January 1970.
    #[must_use]
    pub fn days(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let from_march = (i64::from(self.month) + 9) % 12;
        let of_year = (153 * from_march + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
    }

    /// The year, 0 to 9999.
    #[must_use]
    pub const fn year(self) -> u16 {
        self.year
    }

    /// The month, 1 to 12.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, from 1.
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }

    fn month_name(self) -> &'static str {
        MONTHS.get(usize::from(self.month).saturating_sub(1)).copied().unwrap_or_default()
    }
}

const fn days_in(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:04}", self.day, self.month_name(), self.year)
    }
}

/// A moment to the second, with the zone it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DateTime {
    date: Date,
    second: u32,
    zone: i16,
}

impl DateTime {
    /// The moment `unix` seconds after 1970 began in Greenwich, told in a zone that many minutes east of it.
    /// `None` outside the years 0 to 9999, or for a zone of 100 hours or more.
    #[must_use]
    pub fn from_unix(unix: i64, zone_minutes: i16) -> Option<Self> {
        if zone_minutes.unsigned_abs() >= 6000 {
            return None;
        }
        let local = unix.checked_add(i64::from(zone_minutes) * 60)?;
        let date = Date::from_days(local.div_euclid(SECONDS_PER_DAY))?;
        let second = u32::try_from(local.rem_euclid(SECONDS_PER_DAY)).ok()?;
        Some(Self { date, second, zone: zone_minutes })
    }

    /// Seconds since 1970 began in Greenwich.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.date.days() * SECONDS_PER_DAY + i64::from(self.second) - i64::from(self.zone) * 60
    }

    /// The zone, in minutes east of Greenwich.
    #[must_use]
    pub const fn zone_minutes(self) -> i16 {
        self.zone
    }

    /// The day in its own zone: what SEARCH compares (RFC 3501 §6.4.4).
    #[must_use]
    pub const fn date(self) -> Date {
        self.date
    }

    /// Parses the 26 octets between the quotes, ` 1-Feb-1994 10:05:00 +0000`.
    ///
    /// # Errors
    /// If they are no date with time and zone.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        whole(text, unquoted_date_time)
    }
}

impl fmt::Display for DateTime {
    /// The wire's form, without the quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, second, zone } = self;
        let sign = if *zone < 0 { '-' } else { '+' };
        let (day, month, year) = (date.day, date.month_name(), date.year);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let (zone_hours, zone_minutes) = (zone.unsigned_abs() / 60, zone.unsigned_abs() % 60);
        write!(f, "{day:2}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} {sign}{zone_hours:02}{zone_minutes:02}")
    }
}

/// `date`, quoted or not.
pub(crate) fn date(input: &[u8]) -> Parsed<'_, Date> {
    let (quoted, body) = match input {
        [b'"', body @ ..] => (true, body),
        body => (false, body),
    };
    let found = match body {
        [d @ b'0'..=b'9', b'-', rest @ ..] => {
            Some((&[b'0', *d], rest)).and_then(|(day, rest)| month_and_year(day, rest))
        }
        [d, e, b'-', rest @ ..] => month_and_year(&[*d, *e], rest),
        _ => None,
    };
    match (found, quoted) {
        (Some((date, rest)), false) => Ok((rest, date)),
        (Some((date, [b'"', rest @ ..])), true) => Ok((rest, date)),
        (Some(_) | None, _) => fail(input, Expected::Date),
    }
}

/// `date-time`, with its quotes.
pub(crate) fn date_time(input: &[u8]) -> Parsed<'_, DateTime> {
    let [b'"', body @ ..] = input else { return fail(input, Expected::DateTime) };
    let (rest, moment) = unquoted_date_time(body)?;
    match rest {
        [b'"', rest @ ..] => Ok((rest, moment)),
        _ => fail(input, Expected::DateTime),
    }
}

fn unquoted_date_time(input: &[u8]) -> Parsed<'_, DateTime> {
    match date_and_time(input) {
        Some((moment, rest)) => Ok((rest, moment)),
        None => fail(input, Expected::DateTime),
    }
}

fn date_and_time(input: &[u8]) -> Option<(DateTime, &[u8])> {
    let [d, e, b'-', rest @ ..] = input else { return None };
    let day = [if *d == b' ' { b'0' } else { *d }, *e];
    let (date, rest) = month_and_year(&day, rest)?;
    let [b' ', h, i, b':', m, n, b':', s, t, b' ', sign @ (b'+' | b'-'), z, y, x, w, rest @ ..] = rest else {
        return None;
    };
    let (hour, minute, second) = (digits(&[*h, *i])?, digits(&[*m, *n])?, digits(&[*s, *t])?);
    let (zone_hours, zone_minutes) = (digits(&[*z, *y])?, digits(&[*x, *w])?);
    // A leap second counts as the second before it.
    if hour > 23 || minute > 59 || second > 60 || zone_minutes > 59 {
        return None;
    }
    let zone = i16::try_from(zone_hours * 60 + zone_minutes).ok()?;
    let zone = if *sign == b'-' { -zone } else { zone };
    let second = u32::from(hour) * 3600 + u32::from(minute) * 60 + u32::from(second.min(59));
    Some((DateTime { date, second, zone }, rest))
}

fn month_and_year<'a>(day: &[u8; 2], input: &'a [u8]) -> Option<(Date, &'a [u8])> {
    let [m, n, o, b'-', y1, y2, y3, y4, rest @ ..] = input else { return None };
    let month = MONTHS.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(&[*m, *n, *o]))?;
    let month = u8::try_from(month.checked_add(1)?).ok()?;
    let date = Date::new(digits(&[*y1, *y2, *y3, *y4])?, month, u8::try_from(digits(day)?).ok()?)?;
    Some((date, rest))
}

fn digits(octets: &[u8]) -> Option<u16> {
    octets.iter().try_fold(0_u16, |number, octet| {
        let digit = octet.is_ascii_digit().then(|| octet - b'0')?;
        number.checked_mul(10)?.checked_add(u16::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(Date::new(1970, 1, 1).unwrap().days(), 0);
        assert_eq!(Date::new(2000, 2, 29).unwrap().days(), 11_016);
        assert_eq!(Date::new(0, 1, 1).unwrap().days(), -719_528);
        assert_eq!(Date::new(1900, 2, 29), None);
        assert_eq!(Date::from_days(i64::MAX), None);
        assert_eq!(Date::from_days(-719_529), None);
    }

    #[test]
    fn a_moment_keeps_its_zone() {
        let moment = DateTime::parse(b" 7-Feb-1994 21:52:25 -0800").unwrap();
        assert_eq!(moment.unix(), 760_686_745);
        assert_eq!(moment.to_string(), " 7-Feb-1994 21:52:25 -0800");
        assert_eq!(DateTime::from_unix(760_686_745, 0).unwrap().to_string(), " 8-Feb-1994 05:52:25 +0000");
        assert_eq!(moment.date(), Date::new(1994, 2, 7).unwrap());
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for bad in [
            "7-Feb-1994 21:52:25 -0800",
            " 7-Fev-1994 21:52:25 -0800",
            "30-Feb-1994 21:52:25 -0800",
            " 7-Feb-1994 24:52:25 -0800",
            " 7-Feb-1994 21:52:25 0800",
            " 7-Feb-1994 21:52:25 -0860",
            " 7-Feb-1994 21:52:25 -08000",
            " 7-Feb-94 21:52:25 -0800",
            " 0-Feb-1994 21:52:25 -0800",
            "",
        ] {
            assert!(DateTime::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_date_may_be_quoted() {
        for good in [&b"1-Feb-1994"[..], b"\"01-feb-1994\""] {
            assert_eq!(whole(good, date), Ok(Date::new(1994, 2, 1).unwrap()));
        }
        for bad in [&b"\"1-Feb-1994"[..], b"1-Feb-1994\"", b"32-Jan-1994", b"1-Feb-199", b"-Feb-1994"] {
            assert!(whole(bad, date).is_err());
        }
    }

    proptest! {
        #[test]
        fn written_and_parsed_is_the_same(unix in -62_167_219_200_i64..253_402_300_799, zone in -5999_i16..6000) {
            prop_assume!(DateTime::from_unix(unix, zone).is_some());
            let moment = DateTime::from_unix(unix, zone).unwrap();
            prop_assert_eq!(moment.unix(), unix);
            prop_assert_eq!(DateTime::parse(moment.to_string().as_bytes()), Ok(moment));
        }
    }
}
