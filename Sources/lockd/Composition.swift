import Yams

/// Reads YAML in which keys are repeated, which is for the caller to complain of.
///
/// Yams refuses such a text as a whole: it names the keys and the place of the first one, and nobody learns what else is wrong. It does not take
/// two keys for the same that have different tags, though, and a tag changes nothing about what a key says. So the keys are given tags, and the
/// text is read again.
struct Composition {
    /// A key that was found to be repeated, with the line of the first one.
    struct Repetition: Hashable {
        let key: String
        let line: Int
    }

    /// What is all that can be said of repeated keys, because the text could not be read to its end; none if it could.
    private(set) var unresolved: [Repetition] = []
    private var tagCount = 0

    /// How often a text is read, which is once for each mapping with repetitions; more are not needed for what somebody means to be a
    /// configuration.
    private static let attemptLimit = 16

    /// The root of `text`; `nil` if it is empty, or if nothing helps against its repetitions.
    mutating func node(of text: String) throws -> Node? {
        // The columns of Yams do not count it.
        var text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
        var seen: Set<Repetition> = []
        for _ in 0..<Self.attemptLimit {
            do {
                let root = try Yams.compose(yaml: text)
                unresolved = []
                return root
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                for key in keys {
                    let repetition = Repetition(key: key, line: context.mark.line)
                    if seen.insert(repetition).inserted { unresolved.append(repetition) }
                }
                guard let tagged = tagging(Set(keys), from: context.mark, in: text) else { return nil }
                text = tagged
            }
        }
        return nil
    }

    /// `text` with tags for the key at `mark`, and for those of `keys` that stand below it; `nil` if that one has a tag of its own.
    private mutating func tagging(_ keys: Set<String>, from mark: Mark, in text: String) -> String? {
        var result = String.UnicodeScalarView()
        var rest = text.unicodeScalars[...]
        var line = 1
        var isInMapping = true
        while !rest.isEmpty {
            let content = rest.prefix { !Self.isBreak($0) }
            rest = rest[content.endIndex...]
            let indentation = content.prefix { $0 == " " }.count
            let word = content.dropFirst(indentation)
            if line == mark.line {
                let key = content.dropFirst(mark.column - 1)
                if key.isEmpty || key.first == "!" { return nil }
                result.append(contentsOf: content.prefix(mark.column - 1))
                appendTag(to: &result)
                result.append(contentsOf: key)
            } else {
                let isComment = word.isEmpty || word.first == "#"
                if line > mark.line, indentation < mark.column - 1, !isComment { isInMapping = false }
                let isBelow = line > mark.line && isInMapping && indentation == mark.column - 1
                result.append(contentsOf: content.prefix(indentation))
                if isBelow, keys.contains(Self.key(in: word)) { appendTag(to: &result) }
                result.append(contentsOf: word)
            }
            if let character = rest.popFirst() {
                result.append(character)
                if character == "\r", rest.first == "\n", let next = rest.popFirst() { result.append(next) }
            }
            line += 1
        }
        return String(result)
    }

    private mutating func appendTag(to text: inout String.UnicodeScalarView) {
        tagCount += 1
        text.append(contentsOf: "!\(tagCount) ".unicodeScalars)
    }

    /// The key at the beginning of a line without its indentation.
    private static func key(in word: Substring.UnicodeScalarView) -> String {
        let quotes: [Unicode.Scalar] = ["\"", "'"]
        if let quote = word.first, quotes.contains(quote) { return String(word.dropFirst().prefix { $0 != quote }) }
        var key = word.prefix { $0 != ":" }
        while key.last == " " { key.removeLast() }
        return String(key)
    }

    /// Whether it ends a line for YAML.
    private static func isBreak(_ character: Unicode.Scalar) -> Bool {
        ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"].contains(character)
    }
}
