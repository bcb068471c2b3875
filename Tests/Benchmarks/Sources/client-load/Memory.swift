import Glibc
import LockdClient

/// What a client that is connected and idle takes of its process's memory.
enum Memory {
    private static let clientCount = 200

    static func ofBlockingClients(_ socket: String) async throws -> [Figure] {
        try BlockingLockdClient(socket: socket).ping()
        let before = try resident()
        var clients: [BlockingLockdClient] = []
        for _ in 0..<clientCount {
            clients.append(BlockingLockdClient(socket: socket))
            try clients.last?.ping()
        }
        return try figures(before, keeping: clients)
    }

    static func ofClients(_ socket: String) async throws -> [Figure] {
        try await LockdClient(socket: socket).ping()
        let before = try resident()
        var clients: [LockdClient] = []
        for _ in 0..<clientCount {
            clients.append(LockdClient(socket: socket))
            try await clients.last?.ping()
        }
        return try figures(before, keeping: clients)
    }

    private static func figures(_ before: Double, keeping clients: [some AnyObject]) throws -> [Figure] {
        try withExtendedLifetime(clients) {
            [Figure(name: "KiB a client", value: (try resident() - before) / Double(clientCount))]
        }
    }

    /// What the process has in memory, in KiB.
    private static func resident() throws -> Double {
        guard let file = fopen("/proc/self/smaps_rollup", "r") else { throw LoadError.system("smaps_rollup") }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, CInt(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let words = text.split(separator: " ")
            if words.first == "Pss:", let kibibytes = Double(words[1]) { return kibibytes }
        }
        throw LoadError("smaps_rollup says nothing of Pss")
    }
}
