//! Small forms: ages, sizes, and text that others wrote.

/// A length of time by its largest unit: `42s`, `12m`, `3h`, `5d`.
#[must_use]
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        86_400.. => format!("{}d", seconds / 86_400),
    }
}

/// Octets in powers of 1024, with at most one digit behind the point: `512`, `4.7K`, `12M`.
#[must_use]
pub fn size(octets: u64) -> String {
    let mut unit = 1_u64;
    let mut letter = ' ';
    for next in ['K', 'M', 'G', 'T', 'P', 'E'] {
        if octets / unit < 1024 {
            break;
        }
        unit = unit.saturating_mul(1024);
        letter = next;
    }
    let whole = octets / unit;
    if letter == ' ' {
        return whole.to_string();
    }
    // One in ten is cut, not rounded: nothing looks larger than it is, and 1023.9K does not become 1024K.
    let tenth = u128::from(octets % unit) * 10 / u128::from(unit);
    if whole < 10 { format!("{whole}.{tenth}{letter}") } else { format!("{whole}{letter}") }
}

/// Text that others wrote, on one line and unable to steer a terminal: line ends become blanks, and control characters and
/// those that turn the direction of writing become U+FFFD.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\n' | '\r' | '\t' => ' ',
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            letter if letter.is_control() => '\u{fffd}',
            letter => letter,
        })
        .collect()
}
