import Glibc

/// The variables of a process's environment.
///
/// One that is empty counts as not set.
struct Environment {
    let variables: [String: String]

    init(_ variables: [String: String]) { self.variables = variables.filter { !$0.value.isEmpty } }

    /// That of this process; to be called while it has one thread.
    static func ofProcess() -> Environment {
        var variables: [String: String] = [:]
        var next: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = environ
        while let pointer = next, let entry = pointer.pointee {
            // By bytes: a sign that combines with the one before would hide it.
            let bytes = UnsafeBufferPointer(start: entry, count: strlen(entry)).map { UInt8(bitPattern: $0) }
            let parts = bytes.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            // Of a name that is there twice the first counts, as for getenv(3).
            if parts.count == 2 {
                let name = String(decoding: parts[0], as: UTF8.self)
                variables[name] = variables[name] ?? String(decoding: parts[1], as: UTF8.self)
            }
            next = pointer + 1
        }
        return Environment(variables)
    }

    func callAsFunction(_ name: String) -> String? { variables[name] }
}
