//! What somebody may have meant.

/// The known word that is most like this one, if one is: at most a third of it is wrong.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |word: &str| word.to_lowercase().replace(['_', '-', '.'], "").chars().collect::<Vec<char>>();
    let wanted = plain(word);
    // Long ones are no slips of a finger, and the work grows with their length.
    if wanted.is_empty() || wanted.len() > 64 {
        return None;
    }
    let steps = known.into_iter().map(|known| (distance(&wanted, &plain(known)), known));
    let (steps, found) = steps.min_by_key(|(steps, _)| *steps)?;
    (steps <= (wanted.len() / 3).max(1)).then_some(found)
}

/// How many letters are wrong, missing, too many or in the place of their neighbour.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut rows = [Vec::new(), (0..=other.len()).collect::<Vec<_>>(), Vec::new()];
    for (i, letter) in one.iter().enumerate() {
        let [before, last, row] = &mut rows;
        row.clear();
        row.push(i + 1);
        for (j, against) in other.iter().enumerate() {
            let mut least = (last[j] + usize::from(letter != against)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == other[j - 1] && one[i - 1] == *against {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        rows.rotate_left(1);
    }
    rows[1].last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let near = |word| nearest(word, ["delay", "max_concurrency", "queue", "timeout", "synchronous"]);
        for (slip, meant) in [
            ("dealy", "delay"),
            ("max_concurency", "max_concurrency"),
            ("maxConcurrency", "max_concurrency"),
            ("quue", "queue"),
            ("time_out", "timeout"),
            ("synchronus", "synchronous"),
        ] {
            assert_eq!(near(slip), Some(meant), "{slip}");
        }
        for other in ["", "retries", "x", "colour"] {
            assert_eq!(near(other), None, "{other}");
        }
        assert_eq!(nearest("a", [""; 0]), None);
    }
}
