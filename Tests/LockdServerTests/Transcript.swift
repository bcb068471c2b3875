import Foundation
import LockdModel
import Testing

/// A scenario from `Tests/Transcripts`: what clients do, and every line that they get for it.
///
/// `README.md` there tells the format.
struct Transcript: Sendable, CustomTestStringConvertible {
    /// What happens.
    enum Action: Sendable {
        case open(client: String, user: UInt32, process: Int32, command: String)
        case send(client: String, line: String)
        case sendPart(client: String, bytes: String)
        case shutDown(client: String)
        case close(client: String)
        case exit(client: String)
        case advance(Milliseconds, isNoticed: Bool)
    }

    /// What a client must have got then.
    struct Expectation: Sendable {
        enum Content: Sendable {
            case line(String)
            case end
            case nothing
        }

        let client: String
        let content: Content
        let lineNumber: Int
    }

    struct Step: Sendable {
        let action: Action
        let lineNumber: Int
        var expectations: [Expectation] = []
    }

    /// What a replayer must be able to do.
    enum Requirement: String, Sendable {
        /// Clients of several users.
        case users
        /// A whole daemon, not just its ``LockService``.
        case daemon
    }

    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    let name: String
    let lines: [String]
    private(set) var requirements: Set<Requirement> = []
    private(set) var limits = Limits()
    private(set) var steps: [Step] = []

    var testDescription: String { name }

    static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Transcripts")

    /// All transcripts, by name.
    static let all: [Transcript] = {
        do {
            let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            return try files.filter { $0.hasSuffix(".txt") }.sorted().map { try Transcript(name: $0) }
        } catch {
            fatalError("cannot read the transcripts: \(error)")
        }
    }()

    init(name: String) throws {
        let text = try String(contentsOf: Self.directory.appending(path: name), encoding: .utf8)
        try self.init(name: name, text: text)
    }

    init(name: String, text: String) throws {
        self.name = name
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard let story = lines.first, story.hasPrefix("# ") else {
            throw Problem(description: "\(name): the first line must tell the story: \"# …\"")
        }
        for (index, line) in lines.enumerated() where !line.isEmpty && !line.hasPrefix("#") {
            do {
                try read(line, number: index + 1)
            } catch {
                throw Problem(description: "\(name):\(index + 1): \(error)")
            }
        }
    }

    private mutating func read(_ line: String, number: Int) throws {
        let end = line.firstIndex { " <>-".contains($0) } ?? line.endIndex
        let word = String(line[..<end])
        let mark = line[end...]
        if mark.hasPrefix("<") {
            let text = Self.content(of: mark.dropFirst())
            let content: Expectation.Content = text == "(end)" ? .end : .line(try Self.unescape(text))
            try expect(Expectation(client: word, content: content, lineNumber: number))
        } else if mark == "-" {
            try expect(Expectation(client: word, content: .nothing, lineNumber: number))
        } else if mark.hasPrefix(">>") {
            add(.sendPart(client: word, bytes: try Self.unescape(Self.content(of: mark.dropFirst(2)))), number)
        } else if mark.hasPrefix(">") {
            add(.send(client: word, line: try Self.unescape(Self.content(of: mark.dropFirst()))), number)
        } else {
            try readCommand(line.split(separator: " ").map(String.init), number)
        }
    }

    private mutating func readCommand(_ words: [String], _ number: Int) throws {
        switch (words[0], words.dropFirst().first) {
        case ("requires", let what?):
            guard let requirement = Requirement(rawValue: what) else {
                throw Problem(description: "unknown requirement")
            }
            requirements.insert(requirement)
        case ("limits", _?): try readLimits(words.dropFirst())
        case ("open", let client?): add(try Self.open(client, words.dropFirst(2), count: steps.count), number)
        case ("shutdown", let client?): add(.shutDown(client: client), number)
        case ("close", let client?): add(.close(client: client), number)
        case ("exit", let client?): add(.exit(client: client), number)
        case ("advance", let length?):
            add(.advance(try Self.duration(length), isNoticed: words.last != "unnoticed"), number)
        default: throw Problem(description: "not a line of a transcript")
        }
    }

    private mutating func add(_ action: Action, _ number: Int) {
        steps.append(Step(action: action, lineNumber: number))
    }

    private mutating func expect(_ expectation: Expectation) throws {
        guard !steps.isEmpty else { throw Problem(description: "expected before anything has happened") }
        steps[steps.count - 1].expectations.append(expectation)
    }

    private mutating func readLimits(_ words: some Sequence<String>) throws {
        let fields: [String: WritableKeyPath<Limits, Int>] = [
            "sessions": \.sessions, "reserved-sessions": \.reservedSessions, "leases": \.leases,
            "leases-per-session": \.leasesPerSession, "waiters": \.waiters, "waiters-per-session": \.waitersPerSession,
            "sessions-per-user": \.sessionsPerUser, "leases-per-user": \.leasesPerUser,
            "waiters-per-user": \.waitersPerUser, "bytes-per-user": \.bytesPerUser,
            "endings-per-turn": \.endingsPerTurn, "locks-per-page": \.locksPerPage, "watchers": \.watchers,
        ]
        for word in words {
            let parts = word.split(separator: "=")
            guard parts.count == 2, let field = fields[String(parts[0])], let value = Int(parts[1]) else {
                throw Problem(description: "unknown limit \(word)")
            }
            limits[keyPath: field] = value
        }
    }

    private static func open(_ client: String, _ words: some Sequence<String>, count: Int) throws -> Action {
        var (user, process, command) = (UInt32(1000), Int32(100 + count), "worker")
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            switch (parts.first, parts.last.flatMap { Int32($0) }) {
            case ("uid", let number?): user = UInt32(number)
            case ("pid", let number?): process = number
            case ("command", _): command = try unescape(parts[1][...])
            default: throw Problem(description: "unknown property \(word)")
            }
        }
        return .open(client: client, user: user, process: process, command: command)
    }

    static func duration(_ spelling: String) throws -> Milliseconds {
        let units: [String: Int64] = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
        let digits = spelling.prefix { $0.isNumber }
        guard let count = Int64(digits), let unit = units[String(spelling.dropFirst(digits.count))] else {
            throw Problem(description: "\(spelling) is not a duration")
        }
        return Milliseconds(count * unit)
    }

    /// What stands behind a mark, without the one space between.
    private static func content(of rest: Substring) -> Substring {
        rest.hasPrefix(" ") ? rest.dropFirst() : rest
    }

    /// Resolves `\n`, `\r`, `\\`, `\xNN`, and `\(TEXT*COUNT)`.
    ///
    /// Characters of the result stand for bytes.
    static func unescape(_ text: Substring) throws -> String {
        var result = ""
        var rest = text
        while let backslash = rest.firstIndex(of: "\\") {
            result += latin1(rest[..<backslash])
            rest = rest[backslash...].dropFirst()
            switch rest.popFirst() {
            case "n": result += "\n"
            case "r": result += "\r"
            case "\\": result += "\\"
            case "x":
                guard let byte = UInt8(rest.prefix(2), radix: 16) else { throw Problem(description: "bad \\x") }
                result.unicodeScalars.append(Unicode.Scalar(byte))
                rest = rest.dropFirst(2)
            case "(":
                guard let star = rest.lastIndex(of: "*", before: ")"), let end = rest[star...].firstIndex(of: ")"),
                    let count = Int(rest[star..<end].dropFirst())
                else { throw Problem(description: "bad \\(") }
                result += String(repeating: try unescape(rest[..<star]), count: count)
                rest = rest[end...].dropFirst()
            default: throw Problem(description: "unknown escape")
            }
        }
        return result + latin1(rest)
    }

    /// A reply as a transcript spells it.
    static func escape(_ line: String) -> String {
        let escaped = line.replacing("\\", with: "\\\\")
        return escaped.replacing(/(%..|.)\1{15,}/) { match in
            "\\(\(match.output.1)*\(match.output.0.count / match.output.1.count))"
        }
    }

    private static func latin1(_ text: Substring) -> String {
        text.utf8.reduce(into: "") { $0.unicodeScalars.append(Unicode.Scalar($1)) }
    }
}

extension Substring {
    /// The last place of `character` before the first `end`.
    fileprivate func lastIndex(of character: Character, before end: Character) -> Index? {
        firstIndex(of: end).flatMap { self[..<$0].lastIndex(of: character) }
    }
}

extension String {
    /// The bytes that the characters of a transcript stand for.
    var transcriptBytes: [UInt8] { unicodeScalars.map { UInt8($0.value) } }
}
