/// What was looked at, and how it is.
struct Finding {
    enum Verdict: String {
        case good = "ok"
        case warning
        case wrong
    }

    let subject: String
    let verdict: Verdict
    let text: String
    /// What to do about it, a command if there is one.
    let remedy: String?

    init(_ subject: String, _ verdict: Verdict, _ text: String, remedy: String? = nil) {
        self.subject = subject
        self.verdict = verdict
        self.text = text
        self.remedy = remedy
    }

    private var emphasis: Emphasis {
        switch verdict {
        case .good: .good
        case .warning: .warning
        case .wrong: .wrong
        }
    }

    func line(with ink: Ink) -> String {
        let verdict = self.verdict.rawValue
        let advice = remedy.map { "\n         do: \($0)" } ?? ""
        return ink(verdict, emphasis) + String(repeating: " ", count: 9 - verdict.count)
            + "\(subject): \(text)\(advice)"
    }

    var json: JSON {
        .object([
            ("subject", .string(subject)), ("verdict", .string(verdict.rawValue)), ("text", .string(text)),
            ("remedy", .text(remedy)),
        ])
    }
}
