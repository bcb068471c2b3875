import LockdModel

/// What a claim takes of its user's account, from its arrival to its end.
///
/// Only ``Users`` makes one, so no claim comes into being that was not paid for.
struct Charge: Sendable {
    /// The slot of the account.
    let user: Int
    /// How many leases it counts for: one for each name, but none while it waits if it is exclusive and for one name, since then it becomes a
    /// lease only in place of another one.
    var leaseCount: Int
    let byteCount: Int

    /// What a claim counts for each of its names, apart from the bytes of that: what it takes in the table, rounded up.
    private static let byteCountPerName = 512

    fileprivate init(user: Int, leaseCount: Int, byteCount: Int) {
        self.user = user
        self.leaseCount = leaseCount
        self.byteCount = byteCount
    }

    /// The bytes of a claim on `name` that says nothing else.
    static func byteCount(of name: PlainName) -> Int { byteCountPerName + name.bytes.count }

    /// The bytes of a claim: of all texts, as they are kept.
    static func byteCount(of terms: AcquireTerms) -> Int { byteCount(of: terms.names, terms.owner, terms.note) }

    static func byteCount(of names: some Sequence<LockName>, _ owner: Text?, _ note: Text?) -> Int {
        names.reduce(byteCount(of: owner) + byteCount(of: note)) { count, name in
            count + byteCountPerName + name.spelling.utf8.count
        }
    }

    private static func byteCount(of text: Text?) -> Int { text?.spelling.utf8.count ?? 0 }
}

extension Users {
    /// Charges a user with a claim, if there is room for its leases and bytes.
    @inline(__always)
    mutating func charge(_ user: Int, leases: Int, bytes: Int) -> Charge? {
        guard self[user].take(leases: leases, bytes: bytes) else { return nil }
        return Charge(user: user, leaseCount: leases, byteCount: bytes)
    }

    /// Charges a user with a claim that was there before the limits were, whether or not there is room.
    mutating func chargeAnyway(_ user: Int, leases: Int, bytes: Int) -> Charge {
        self[user].giveBack(leases: -leases, bytes: -bytes)
        return Charge(user: user, leaseCount: leases, byteCount: bytes)
    }

    /// Gives back what a claim was charged with that has gone.
    @inline(__always)
    mutating func refund(_ charge: Charge) {
        self[charge.user].giveBack(leases: charge.leaseCount, bytes: charge.byteCount)
    }
}
