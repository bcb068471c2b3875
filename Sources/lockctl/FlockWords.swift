import ArgumentParser

/// The command line of ``Flock``, for the scripts that complete it: it is parsed by ``FlockArguments``, of which they know nothing.
struct FlockWords: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: Flock.configuration.commandName,
        abstract: Flock.configuration.abstract
    )

    @Flag(name: .shortAndLong, help: "Share the lock with others that are shared too.")
    var shared = false

    @Flag(name: [.customShort("x"), .customShort("e"), .customLong("exclusive")], help: "Do not share it.")
    var isExclusive = false

    @Flag(name: [.customShort("n"), .customLong("nb"), .customLong("nonblock")], help: "Do not wait.")
    var doesNotWait = false

    @Option(
        name: [.customShort("w"), .customLong("wait"), .customLong("timeout")],
        help: ArgumentHelp("Wait so many seconds at the most.", valueName: "seconds")
    )
    var patience: String?

    @Option(
        name: [.customShort("E"), .long],
        help: ArgumentHelp("The exit code instead of 1.", valueName: "code")
    )
    var conflictExitCode: String?

    @Option(
        name: [.customShort("c"), .customLong("command")],
        help: ArgumentHelp("Behind the file: a line for $SHELL.", valueName: "line")
    )
    var line: String?

    @Flag(name: [.customShort("o"), .long], help: "End the lock with the command.")
    var close = false

    @Flag(name: [.customShort("F"), .long], help: "The command takes the place of lockctl.")
    var noFork = false

    @Flag(name: .shortAndLong, help: "Run the command without the lock.")
    var unlock = false

    @Flag(help: "Lock bytes of the file with fcntl(2).")
    var fcntl = false

    @Option(help: ArgumentHelp("The first of these bytes.", valueName: "bytes"))
    var start: String?

    @Option(help: ArgumentHelp("How many they are.", valueName: "bytes"))
    var length: String?

    @Option(help: ArgumentHelp("Lock an open descriptor instead of a file.", valueName: "number"))
    var fd: String?

    @Flag(help: "Say how long the lock took, and who has it.")
    var verbose = false

    @Flag(name: .customShort("V"), help: "Show the version.")
    var showsVersion = false

    @Argument(help: "The file.", completion: .file())
    var file: String
}
