import LockdModel
import Testing

/// Where a transcript is replayed: something that clients can connect to.
protocol TranscriptStage {
    /// Makes it happen, and waits until the daemon has done what it does about it.
    mutating func perform(_ action: Transcript.Action) throws
    /// The next thing that the client has got.
    ///
    /// With `mayWait`, waits for it.
    mutating func next(for client: String, mayWait: Bool) throws -> Received?
    /// The peer that every client is, where it cannot be chosen; then fields about processes have its values, whatever the transcript says.
    var onlyPeer: (process: Int32, user: UInt32, command: String)? { get }
    /// The client with this session number, if the stage knows.
    func client(ofSession number: String) -> String?
}

/// What a client can get.
enum Received: Equatable {
    case line(String)
    case end
}

/// Plays a transcript on a stage and compares what comes with what is expected.
struct TranscriptReplay<Stage: TranscriptStage> {
    private let transcript: Transcript
    private var stage: Stage
    private var variables = TranscriptVariables()
    private var clients: [String] = []
    /// The expected lines of each step that differ from what came, by step, as they should be.
    private(set) var corrections: [Int: [String]] = [:]

    init(_ transcript: Transcript, on stage: Stage) {
        self.transcript = transcript
        self.stage = stage
    }

    /// Plays all steps.
    ///
    /// With `isCorrecting`, differences are collected in ``corrections`` instead of thrown.
    mutating func play(isCorrecting: Bool = false) throws {
        for (index, step) in transcript.steps.enumerated() {
            if case .open(let client, _, _, _) = step.action { clients.append(client) }
            let before = variables
            try stage.perform(resolved(step.action, step.lineNumber))
            if isCorrecting {
                try correct(step, index, before)
            } else {
                for expectation in step.expectations { try compare(expectation) }
                for client in clients {
                    if let more = try stage.next(for: client, mayWait: false) {
                        throw difference(step.lineNumber, "nothing more for \(client)", more)
                    }
                }
            }
        }
    }

    private func resolved(_ action: Transcript.Action, _ lineNumber: Int) throws -> Transcript.Action {
        guard case .send(let client, let line) = action else { return action }
        guard let resolved = variables.resolve(line) else {
            throw Transcript.Problem(description: "\(transcript.name):\(lineNumber): a variable has no value yet")
        }
        return .send(client: client, line: resolved)
    }

    private mutating func compare(_ expectation: Transcript.Expectation) throws {
        switch expectation.content {
        case .nothing:
            if let more = try stage.next(for: expectation.client, mayWait: false) {
                throw difference(expectation.lineNumber, "nothing", more)
            }
        case .end:
            let got = try stage.next(for: expectation.client, mayWait: true)
            if got != .end { throw difference(expectation.lineNumber, "the end of the stream", got) }
        case .line(let line):
            let got = try stage.next(for: expectation.client, mayWait: true)
            guard case .line(let text) = got, variables.match(line, with: text, onlyPeer: stage.onlyPeer) else {
                throw difference(expectation.lineNumber, line, got)
            }
        }
    }

    private func difference(_ lineNumber: Int, _ expected: String, _ got: Received?) -> Transcript.Problem {
        let text =
            switch got {
            case .line(let line): line
            case .end: "the end of the stream"
            case nil: "nothing"
            }
        return Transcript.Problem(
            description: """
                \(transcript.name):\(lineNumber)
                  expected: \(expected)
                  got:      \(text)
                  with \(variables)
                """
        )
    }

    // MARK: Correcting

    private mutating func correct(_ step: Transcript.Step, _ index: Int, _ before: TranscriptVariables) throws {
        var received: [String: [Received]] = [:]
        for client in clients {
            while let next = try stage.next(for: client, mayWait: false) { received[client, default: []].append(next) }
        }
        var isRight = true
        var rest = received
        for expectation in step.expectations {
            let got = rest[expectation.client]?.first
            switch (expectation.content, got) {
            case (.nothing, nil): continue
            case (.end, .end): break
            case (.line(let line), .line(let text)):
                if !variables.match(line, with: text, onlyPeer: nil) { isRight = false }
            default: isRight = false
            }
            if got != nil { rest[expectation.client]?.removeFirst() }
        }
        if isRight && rest.values.allSatisfy(\.isEmpty) { return }
        variables = before
        let silent = step.expectations.filter { if case .nothing = $0.content { true } else { false } }.map(\.client)
        variables.nameTokens(in: received.values.joined())
        var lines: [String] = []
        for client in clients {
            for item in received[client] ?? [] {
                switch item {
                case .line(let line):
                    lines.append("\(client)< \(Transcript.escape(variables.generalize(line, stage.client)))")
                case .end: lines.append("\(client)< (end)")
                }
            }
            if received[client] == nil && silent.contains(client) { lines.append("\(client)-") }
        }
        corrections[index] = lines
    }

    /// The text of the transcript with the corrections.
    var correctedText: String {
        var lines = transcript.lines.map { Optional($0) }
        for (index, correction) in corrections {
            let step = transcript.steps[index]
            for expectation in step.expectations { lines[expectation.lineNumber - 1] = nil }
            lines[step.lineNumber - 1] = ([transcript.lines[step.lineNumber - 1]] + correction).joined(separator: "\n")
        }
        return lines.compactMap { $0 }.joined(separator: "\n")
    }
}

/// What the variables of a transcript stand for.
///
/// `$1`, `$2`, … are tokens: each is larger than those with smaller numbers. All others have names and stand for different values.
struct TranscriptVariables: CustomStringConvertible {
    private var values: [String: String] = [:]

    var description: String { values.sorted { $0.key < $1.key }.map { "$\($0)=\($1)" }.joined(separator: " ") }

    /// `line` with the values of its variables; nothing if one has none.
    func resolve(_ line: String) -> String? {
        let words = line.split(separator: " ", omittingEmptySubsequences: false).map { word -> String? in
            guard let (key, value) = Self.field(word), value.hasPrefix("$") else { return String(word) }
            return values[String(value.dropFirst())].map { "\(key)=\($0)" }
        }
        let resolved = words.compactMap { $0 }
        return resolved.count == words.count ? resolved.joined(separator: " ") : nil
    }

    /// Whether `got` is the line `expected`.
    ///
    /// Variables that had no value have one then.
    mutating func match(
        _ expected: String,
        with got: String,
        onlyPeer: (process: Int32, user: UInt32, command: String)?
    ) -> Bool {
        let expectedWords = expected.split(separator: " ", omittingEmptySubsequences: false)
        let gotWords = got.split(separator: " ", omittingEmptySubsequences: false)
        guard expectedWords.count == gotWords.count else { return false }
        for (expectedWord, gotWord) in zip(expectedWords, gotWords) where expectedWord != gotWord {
            guard let (key, pattern) = Self.field(expectedWord), let (gotKey, value) = Self.field(gotWord),
                key == gotKey,
                matches(pattern, value) || Self.isOf(onlyPeer, key, value)
            else { return false }
        }
        return true
    }

    private mutating func matches(_ pattern: Substring, _ value: Substring) -> Bool {
        if pattern == "*" { return true }
        guard pattern.hasPrefix("$") else { return false }
        let name = String(pattern.dropFirst())
        if let known = values[name] { return known == value }
        if let number = Int(name), let token = UInt64(value) {
            for (otherName, other) in values {
                guard let otherNumber = Int(otherName), let otherToken = UInt64(other) else { continue }
                if (otherNumber < number) != (otherToken < token) || otherToken == token { return false }
            }
        } else if values.contains(where: { Int($0.key) == nil && $0.value == value }) {
            return false
        }
        values[name] = String(value)
        return true
    }

    private static func isOf(
        _ peer: (process: Int32, user: UInt32, command: String)?,
        _ key: Substring,
        _ value: Substring
    ) -> Bool {
        guard let peer else { return false }
        switch key {
        case "pid", "holder-pid", "waiter-pid", "by-pid", "previous-pid": return value == "\(peer.process)"
        case "uid", "holder-uid", "by-uid", "previous-uid": return value == "\(peer.user)"
        case "command", "holder-command", "previous-command": return value == peer.command
        default: return false
        }
    }

    /// Gives numbers to the tokens in what was received, in their order.
    mutating func nameTokens(in received: some Sequence<Received>) {
        let words = received.flatMap { item -> [Substring] in
            if case .line(let line) = item { line.split(separator: " ") } else { [] }
        }
        let tokens = words.filter { $0.hasPrefix("token=") }.compactMap { UInt64($0.dropFirst("token=".count)) }
        let known = values.filter { Int($0.key) != nil }.values.compactMap { UInt64($0) }
        for token in Set(tokens).subtracting(known).sorted() { _ = name("\(token)", nil) }
    }

    /// The line that a transcript should have for `line`.
    mutating func generalize(_ line: String, _ client: (String) -> String?) -> String {
        let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        return words.map { word in
            guard let (key, value) = Self.field(Substring(word)) else { return word }
            if words.contains("WELCOME") || words.contains("STAT"), key == "pid" || key == "lockd" || key == "version" {
                return "\(key)=*"
            }
            guard ["token", "previous-token", "session", "holder-session", "next"].contains(key) else { return word }
            let isToken = key.hasSuffix("token")
            let known = values.first { $0.value == value && (Int($0.key) != nil) == isToken }
            return "\(key)=$\(known?.key ?? name(String(value), isToken ? nil : client(String(value))))"
        }.joined(separator: " ")
    }

    private mutating func name(_ value: String, _ client: String?) -> String {
        let cursorCount = values.keys.count { $0.hasPrefix("cursor") }
        let last = values.keys.compactMap { Int($0) }.max() ?? 0
        let name = value.contains(".") ? "cursor\(cursorCount + 1)" : client ?? "\(last + 1)"
        values[name] = value
        return name
    }

    private static func field(_ word: Substring) -> (key: Substring, value: Substring)? {
        guard let equalsSign = word.firstIndex(of: "=") else { return nil }
        return (word[..<equalsSign], word[equalsSign...].dropFirst())
    }
}
