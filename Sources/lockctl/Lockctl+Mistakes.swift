import ArgumentParser
import LockdModel

extension Lockctl {
    /// The names of all subcommands; ArgumentParser adds the last.
    static var commands: [String] { subcommands.map { $0._commandName } + ["help"] }

    /// What other tools call what a subcommand does.
    private static let wordsOfOthers: [String: [String]] = [
        "acquire": ["hold", "take"],
        "ls": ["list", "locks", "ps"],
        "release": ["free", "unlock"],
        "renew": ["extend", "refresh"],
        "revoke": ["break", "force", "kill", "steal"],
        "run": ["exec"],
        "show": ["info", "who"],
        "watch": ["follow", "monitor", "tail"],
    ]

    /// What is wrong with a command that there is not, or with options that stand in front of it; ArgumentParser calls one an unexpected argument, and the others unknown.
    static func objection(to arguments: [String]) -> String? {
        guard let first = arguments.first else { return nil }
        if first.hasPrefix("-") { return objection(toOptionsOf: arguments) }
        let isForHelp = first == "help"
        guard let word = isForHelp ? arguments.dropFirst().first : first, !commands.contains(word),
            !(isForHelp && word.hasPrefix("-"))
        else { return nil }
        let meant = meant(by: word)
        let question = meant.isEmpty ? "." : "; did you mean \(choice(of: meant))?"
        return "there is no command \"\(Readable.text(word))\"\(question) lockctl --help lists all of them"
    }

    private static func objection(toOptionsOf arguments: [String]) -> String? {
        let own = ["--help", "-h", "--help-hidden", "-help-hidden", "--version", "--generate-completion-script"]
        // Three hyphens are for what ArgumentParser and its completion scripts have to say to each other.
        guard let first = arguments.first?.split(separator: "=").first.map(String.init), !own.contains(first),
            !first.hasPrefix("---"), !first.hasPrefix("--experimental-"),
            let place = arguments.firstIndex(where: { commands.contains($0) })
        else { return nil }
        let line = ["lockctl", arguments[place]] + arguments[..<place] + arguments[(place + 1)...]
        return "options stand behind the subcommand: \(line.map(\.shellWord).joined(separator: " "))"
    }

    /// The subcommands that somebody who wrote `word` will have meant.
    private static func meant(by word: String) -> [String] {
        let word = word.lowercased()
        if commands.contains(word) { return [word] }
        // These are several things here.
        if word == "lock" { return ["run", "acquire"] }
        if word == "status" { return ["show", "ls"] }
        if let command = wordsOfOthers.first(where: { $0.value.contains(word) })?.key { return [command] }
        let longer = commands.filter { !word.isEmpty && $0.hasPrefix(word) }
        if (1...3).contains(longer.count) { return longer }
        return Likeness.nearest(to: word, among: commands).map { [$0] } ?? []
    }

    private static func choice(of commands: [String]) -> String {
        let quoted = commands.map { "\"\($0)\"" }
        if quoted.count == 1 { return quoted[0] }
        return quoted.dropLast().joined(separator: ", ") + " or " + quoted[quoted.count - 1]
    }

    /// Ends the program as `error` says, which the command line has led to.
    ///
    /// What ArgumentParser finds wrong is said as everything else is, and where help is, instead of all that the line could have had.
    static func end(with error: any Error, of arguments: [String]) -> Never {
        let code = exitCode(for: error)
        let message = message(for: error)
        // What was asked for, a summary for instance, and what has been said already.
        if code == .success || message.isEmpty { exit(withError: error) }
        for line in message.split(separator: "\n") {
            let words = line.drop { $0 == " " }
            let sentence = words.hasPrefix("or: ") ? words.dropFirst(4) : words
            complain(Readable.complaint(String(sentence), bytes: RawText.bytes))
        }
        if code == .validationFailure {
            let command = arguments.first.flatMap { commands.contains($0) ? " " + $0 : nil } ?? ""
            complain("see \"lockctl\(command) --help\"")
        }
        exit(withError: code)
    }
}
