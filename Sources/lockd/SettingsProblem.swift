/// What keeps the daemon from running with its settings: as many things as were found, each in a sentence that says where.
struct SettingsProblem: Error, CustomStringConvertible {
    let sentences: [String]

    init(_ sentences: [String]) { self.sentences = sentences }

    init(_ sentence: String) { self.init([sentence]) }

    var description: String { sentences.joined(separator: "; ") }
}
