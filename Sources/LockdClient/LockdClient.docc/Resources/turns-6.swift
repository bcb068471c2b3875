import LockdClient

/// Where the parts of the report go.
actor Store {
    private var largestToken: UInt64 = 0

    func write(_ part: Int, token: UInt64) throws {
        guard token >= largestToken else { throw Outdated() }
        largestToken = token
        print("writing part \(part)")
    }

    struct Outdated: Error {}
}

let client = LockdClient()
let store = Store()

try await client.withLease(
    "reports/nightly",
    onLoss: .cancelBody,
    waitTimeout: .seconds(600),
    progress: .every(.seconds(1)) { wait in
        let holder = wait.holder?.processID.map { " behind process \($0)" } ?? ""
        print("place \(wait.position) of \(wait.waiterCount)\(holder)")
    }
) { lease in
    for part in 1...10 {
        try Task.checkCancellation()
        try await store.write(part, token: lease.token)
        try await Task.sleep(for: .seconds(1))
    }
}
