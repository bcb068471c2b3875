/// Words in a line, some of them set off.
struct InkedLine {
    private(set) var words: [(text: String, emphasis: Emphasis?)]

    init(_ words: [(text: String, emphasis: Emphasis?)]) { self.words = words }

    init(_ text: String, _ emphasis: Emphasis? = nil) { words = [(text, emphasis)] }

    /// What is to be read, which is also what has a width.
    var plain: String { words.map(\.text).joined() }

    func written(with ink: Ink) -> String { words.map { ink($0.text, $0.emphasis) }.joined() }

    /// The beginning that fits; see ``Terminal/cut(_:columns:)``.
    func cut(columns: Int) -> InkedLine {
        let whole = plain
        let cut = Terminal.cut(whole, columns: columns)
        if cut == whole { return self }
        // What is left of it is its beginning, and a mark that something is missing.
        var left = cut.count - 1
        var kept: [(text: String, emphasis: Emphasis?)] = []
        for word in words where left > 0 {
            let text = String(word.text.prefix(left))
            kept.append((text, word.emphasis))
            left -= text.count
        }
        return InkedLine(kept + [("…", nil)])
    }
}
