/// What `--help` says below the summary.
enum Help {
    /// `text`, and lines to try, each with what it does.
    static func text(_ text: String = "", examples: KeyValuePairs<String, String>) -> String {
        let width = examples.map(\.key.count).max() ?? 0
        let lines = examples.map { line, meaning in
            "  " + line + String(repeating: " ", count: width - line.count + 3) + meaning
        }
        return (text.isEmpty ? "" : text + "\n\n") + "Examples:\n" + lines.joined(separator: "\n")
    }
}
