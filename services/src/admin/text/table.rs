//! Aligned columns that fit the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Blanks between columns.
const GAP: usize = 2;
/// A flexible column is not made narrower than this, unless it needs less.
const NARROWEST: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// As wide as what stands in it.
    Fixed,
    /// May be narrower where the terminal is.
    Flexible,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    name: &'static str,
    align: Align,
    fit: Fit,
}

impl Column {
    pub(super) const fn fixed(name: &'static str, align: Align) -> Self {
        Self { name, align, fit: Fit::Fixed }
    }

    pub(super) const fn flexible(name: &'static str) -> Self {
        Self { name, align: Align::Left, fit: Fit::Flexible }
    }
}

/// Columns whose widths are settled.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(Column, usize)>,
    cut: Cut,
}

/// What happens to a cell that is wider than its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// It keeps its whole text, and the line gets longer.
    Never,
    /// It ends in an ellipsis.
    AtWidth,
}

impl Table {
    /// Settles the widths by these rows: as wide as needed, and on a terminal the widest flexible columns give way until a
    /// line fits.
    pub(super) fn fitting(columns: &[Column], rows: &[Vec<String>], terminal: Option<usize>) -> Self {
        let needed = |place: usize, column: &Column| {
            let cells = rows.iter().filter_map(|row| row.get(place)).map(|cell| cell.width());
            cells.max().unwrap_or_default().max(column.name.width())
        };
        let mut columns: Vec<_> =
            columns.iter().enumerate().map(|(place, column)| (*column, needed(place, column))).collect();
        let Some(terminal) = terminal else { return Self { columns, cut: Cut::Never } };
        let gaps = GAP * columns.len().saturating_sub(1);
        let mut over = (columns.iter().map(|(_, width)| width).sum::<usize>() + gaps).saturating_sub(terminal);
        while over > 0 {
            let widest =
                columns.iter_mut().filter(|(column, _)| column.fit == Fit::Flexible).max_by_key(|(_, width)| *width);
            match widest {
                Some((_, width)) if *width > NARROWEST => *width -= 1,
                Some(_) | None => break,
            }
            over -= 1;
        }
        Self { columns, cut: Cut::AtWidth }
    }

    pub(super) fn head(&self) -> String {
        self.line(&self.columns.iter().map(|(column, _)| column.name).collect::<Vec<_>>())
    }

    pub(super) fn rows(&self, rows: &[Vec<String>]) -> String {
        rows.iter().map(|row| self.line(row)).collect()
    }

    fn line(&self, cells: &[impl AsRef<str>]) -> String {
        let mut line = String::new();
        for (place, ((column, width), cell)) in self.columns.iter().zip(cells).enumerate() {
            let cell = cell.as_ref();
            if place > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            let cell = match self.cut {
                Cut::Never => cell.to_owned(),
                Cut::AtWidth => shortened(cell, *width),
            };
            let blanks = " ".repeat(width.saturating_sub(cell.width()));
            match column.align {
                Align::Left => line.extend([cell, blanks]),
                Align::Right => line.extend([blanks, cell]),
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

/// At most so wide, with an ellipsis where something is missing.
fn shortened(cell: &str, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let fits = |letter: &char| {
        let wide = letter.width().unwrap_or_default();
        let fits = wide <= room;
        room = room.saturating_sub(wide);
        fits
    };
    let mut short: String = cell.chars().take_while(fits).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(terminal: Option<usize>, rows: &[Vec<String>]) -> Table {
        let columns = [Column::fixed("N", Align::Right), Column::flexible("A"), Column::flexible("B")];
        Table::fitting(&columns, rows, terminal)
    }

    fn row(cells: [&str; 3]) -> Vec<String> {
        cells.map(str::to_owned).to_vec()
    }

    #[test]
    fn columns_are_as_wide_as_needed_and_lines_end_without_blanks() {
        let rows = [row(["1", "ab", "c"]), row(["22", "a", ""])];
        let table = table(None, &rows);
        assert_eq!(table.head() + &table.rows(&rows), " N  A   B\n 1  ab  c\n22  a\n");
    }

    #[test]
    fn on_a_terminal_the_widest_gives_way_and_says_so() {
        let rows = [row(["1", &"a".repeat(30), &"b".repeat(14)])];
        let narrow = table(Some(33), &rows);
        assert_eq!(narrow.rows(&rows), format!("1  {}…  {}\n", "a".repeat(13), "b".repeat(14)));
        assert_eq!(table(None, &rows).rows(&rows), format!("1  {}  {}\n", "a".repeat(30), "b".repeat(14)));
        let tiny = table(Some(5), &rows);
        assert_eq!(tiny.rows(&rows), format!("1  {}…  {}…\n", "a".repeat(11), "b".repeat(11)));
    }

    #[test]
    fn wide_letters_count_twice_and_are_not_halved() {
        assert_eq!(shortened("日本語", 6), "日本語");
        assert_eq!(shortened("日本語", 5), "日本…");
        assert_eq!(shortened("日本語", 4), "日…");
        let rows = [row(["1", "日本", "c"]), row(["2", "abcd", "d"])];
        assert_eq!(table(None, &rows).rows(&rows), "1  日本  c\n2  abcd  d\n");
    }
}
