/// How near two spellings are to each other, for whoever has mistyped a word.
public enum Likeness {
    /// How many slips of the hand lie between `left` and `right`: a letter too many, one too few, another one, or two neighbours in the wrong order.
    public static func slips(_ left: String, _ right: String) -> Int {
        let (left, right) = (Array(left), Array(right))
        // The three last rows of the table of how far the beginnings of both are from each other.
        var (oldest, older) = ([Int](), Array(0...right.count))
        for row in left.indices {
            var newest = [row + 1]
            for column in right.indices {
                let other = older[column] + (left[row] == right[column] ? 0 : 1)
                var least = min(other, older[column + 1] + 1, newest[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    least = min(least, oldest[column - 1] + 1)
                }
                newest.append(least)
            }
            (oldest, older) = (older, newest)
        }
        return older[right.count]
    }

    /// The one of `known` that somebody who wrote `word` will have meant; the first of those that are equally near.
    ///
    /// Nothing, if none is near: more than two slips, or more than a third of the word, is another word.
    public static func nearest(to word: String, among known: [String]) -> String? {
        // Nobody mistypes a word of that length, and to look at it takes long.
        if word.utf8.count > 64 { return nil }
        let near = known.map { (spelling: $0, slips: slips(word, $0)) }
        guard let best = near.min(by: { $0.slips < $1.slips }), best.slips <= min(2, max(1, (word.count + 1) / 3))
        else {
            return nil
        }
        return best.spelling
    }
}
