import CLinux
import Glibc
import LockdModel

/// The command line of flock(1), as that of util-linux has it.
struct FlockArguments {
    /// What is locked.
    enum Target: Hashable {
        case path(String)
        case descriptor(CInt)
    }

    enum Purpose: Hashable {
        case help
        case version
        /// The command runs while the file is locked.
        case run(Target, command: [String])
        /// A descriptor of the caller is to be locked.
        case descriptor(CInt)
    }

    var purpose = Purpose.help
    var isShared = false
    var unlocks = false
    /// How long to wait at the most; `nil`: for ever.
    var patience: Milliseconds?
    var conflictExitCode: Int32 = 1
    /// The command does not get the descriptor.
    var closes = false
    /// The command takes the place of this process.
    var replaces = false
    var isVerbose = false
    /// A lock of fcntl(2) on some bytes, all of them if `length` is 0.
    var range: (start: Int64, length: Int64)?
    /// The words before the file.
    private(set) var options: [String] = []
    private var target: Target?
    private var line: String?

    /// A command line that is wrong.
    struct Problem: Error, CustomStringConvertible {
        let description: String

        init(_ description: String) { self.description = description }
    }

    /// What has no letter of its own.
    private enum Long: CInt {
        case verbose = 256
        case fcntl
        case start
        case length
        case descriptor
    }

    static let longOptions: [(name: String, takesValue: Bool, value: CInt)] = [
        ("shared", false, letter("s")), ("exclusive", false, letter("x")), ("unlock", false, letter("u")),
        ("nonblocking", false, letter("n")), ("nb", false, letter("n")), ("timeout", true, letter("w")),
        ("wait", true, letter("w")), ("conflict-exit-code", true, letter("E")), ("command", true, letter("c")),
        ("close", false, letter("o")),
        ("no-fork", false, letter("F")), ("verbose", false, Long.verbose.rawValue),
        ("fcntl", false, Long.fcntl.rawValue), ("start", true, Long.start.rawValue),
        ("length", true, Long.length.rawValue),
        ("fd", true, Long.descriptor.rawValue), ("help", false, letter("h")), ("version", false, letter("V")),
    ]

    private static func letter(_ letter: Unicode.Scalar) -> CInt { CInt(letter.value) }

    /// - Parameter arguments: what follows the name of the program.
    init(_ arguments: [String]) throws(Problem) {
        let (found, rest) = try Self.split(arguments)
        for (option, value) in found { try take(option, value) }
        options = Array(arguments.dropLast(rest.count))
        if purpose == .version || found.contains(where: { $0.option == Self.letter("h") }) { return }
        if replaces && closes {
            throw Problem("--no-fork and --close exclude each other: nobody would be left to hold the lock")
        }
        purpose = try purpose(rest)
    }

    private func purpose(_ words: [String]) throws(Problem) -> Purpose {
        if let target { return .run(target, command: try Self.command(line.map { ["-c", $0] + words } ?? words)) }
        if line != nil { throw Problem("-c comes behind the file: lockctl flock <file> -c <line>") }
        guard let file = words.first else {
            throw Problem("a file, a directory or the number of a descriptor is missing")
        }
        if words.count > 1 { return .run(.path(file), command: try Self.command(Array(words.dropFirst()))) }
        if let descriptor = CInt(file), descriptor >= 0 { return .descriptor(descriptor) }
        throw Problem(
            "\"\(Readable.text(file))\" is no descriptor; or the command is missing: lockctl flock \(Readable.text(file)) <command> …"
        )
    }

    private static func command(_ words: [String]) throws(Problem) -> [String] {
        guard let first = words.first else { throw Problem("the command is missing") }
        guard first == "-c" || first == "--command" else { return words }
        guard words.count == 2 else { throw Problem("\(first) takes one line for the shell, and nothing behind it") }
        let shell = getenv("SHELL").map { String(cString: $0) } ?? ""
        return [shell.isEmpty ? "/bin/sh" : shell, "-c", words[1]]
    }

    private mutating func take(_ option: CInt, _ value: String) throws(Problem) {
        switch option {
        case Self.letter("s"): isShared = true
        case Self.letter("x"), Self.letter("e"): isShared = false
        case Self.letter("u"): unlocks = true
        case Self.letter("n"): patience = Milliseconds(0)
        case Self.letter("w"): patience = try patience.map { $0.count == 0 } == true ? patience : Self.seconds(value)
        case Self.letter("E"):
            guard let code = UInt8(value) else {
                throw Problem("an exit code is 0 to 255, not \"\(Readable.text(value))\"")
            }
            conflictExitCode = Int32(code)
        case Self.letter("o"): closes = true
        case Self.letter("F"): replaces = true
        case Self.letter("c"): line = value
        case Self.letter("V"): purpose = .version
        case Self.letter("h"): purpose = .help
        case Long.verbose.rawValue: isVerbose = true
        case Long.fcntl.rawValue: range = range ?? (0, 0)
        case Long.start.rawValue: range = (try Self.size(value), range?.length ?? 0)
        case Long.length.rawValue: range = (range?.start ?? 0, try Self.size(value))
        case Long.descriptor.rawValue: target = .descriptor(try Self.descriptor(value))
        default: break
        }
    }

    private static func descriptor(_ text: String) throws(Problem) -> CInt {
        guard let descriptor = CInt(text), descriptor >= 0 else {
            throw Problem("\"\(Readable.text(text))\" is no descriptor")
        }
        return descriptor
    }

    /// `5`, `.007`: seconds, rounded up to milliseconds.
    private static func seconds(_ text: String) throws(Problem) -> Milliseconds {
        // As strtod(3) has them, which is how flock(1) reads them.
        let number = text.drop { $0 == " " }
        guard let seconds = Double(number.hasPrefix(".") ? "0" + number : String(number)), seconds.isFinite,
            seconds >= 0, number != "."
        else { throw Problem("\"\(Readable.text(text))\" is no number of seconds; write 5, 0.5 or .007") }
        return Milliseconds(Int64(min((seconds * 1000).rounded(.up), Double(Milliseconds.maximum.count))))
    }

    /// `4096`, `4K`, `1M`: bytes.
    private static func size(_ text: String) throws(Problem) -> Int64 {
        let units: [Character: Int64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        let unit = text.last.flatMap { units[$0] }
        guard let number = Int64(unit == nil ? text : String(text.dropLast())), number >= 0,
            case let (size, hasOverflown) = number.multipliedReportingOverflow(by: unit ?? 1), !hasOverflown
        else { throw Problem("\"\(Readable.text(text))\" is no number of bytes; write 4096, 4K or 1M") }
        return size
    }

    /// The options, each with its value, and what follows them, by getopt_long(3), which has the last word on how options are spelled.
    private static func split(
        _ arguments: [String]
    ) throws(Problem) -> (options: [(option: CInt, value: String)], rest: [String]) {
        let names = longOptions.map { strdup($0.name) }
        defer { names.forEach { free($0) } }
        var table: [option] = []
        for (name, entry) in zip(names, longOptions) {
            guard let name else { continue }
            table.append(option(name: name, has_arg: entry.takesValue ? 1 : 0, flag: nil, val: entry.value))
        }
        table.append(option())
        var found: [(option: CInt, value: String)] = []
        var next: CInt = 1
        let words = ["lockctl flock"] + arguments
        let isWrong = words.withArguments { list in
            var value: UnsafePointer<CChar>?
            while true {
                let option = clinux_next_option(CInt(words.count), list, "+sexnoFuw:E:c:hV", &table, &value, &next)
                if option == -1 { return false }
                if option == CInt(UInt8(ascii: "?")) { return true }
                let bytes = value.map {
                    UnsafeBufferPointer(start: $0, count: strlen($0)).map { UInt8(bitPattern: $0) }
                }
                found.append((option, RawText.string(of: bytes ?? [])))
            }
        }
        // What is wrong has been said.
        if isWrong { throw Problem("") }
        return (found, Array(arguments[(Int(next) - 1)...]))
    }
}
