import LockdModel

/// What keeps the daemon from running with its settings: as many things as were found, each in a sentence that says where.
struct SettingsProblem: Error, CustomStringConvertible {
    let sentences: [String]

    /// How many are said: more than anybody mends at a time, and few enough for a log that gets them again at each start.
    private static let limit = 100

    init(_ sentences: [String]) {
        let more = sentences.count - Self.limit
        let rest = more > 0 ? ["\(more) more problem\(more == 1 ? "" : "s")"] : []
        self.sentences = sentences.prefix(Self.limit) + rest
    }

    init(_ sentence: String) { self.init([sentence]) }

    var description: String { sentences.joined(separator: "; ") }
}

extension Readable {
    /// What somebody has written, fit for a message.
    static func text(_ text: String) -> String { self.text(Array(text.utf8)) }
}
