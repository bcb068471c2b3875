import LockdModel
import LockdWire

/// A lock, its holders, and those who wait for it with the locks that they hold.
struct LockTree {
    let name: LockName
    let leases: [Reply.LeaseLine]
    var waiters: [(line: Reply.WaiterLine, holds: [LockTree])] = []

    /// Made of it for programs: leases and waits as in a listing.
    var json: JSON {
        .object([
            ("name", .string(name.display)), ("name_escaped", .string(name.spelling)),
            ("leases", .array(leases.map(Listing.json))),
            (
                "waiters",
                .array(waiters.map(Self.json))
            ),
        ])
    }

    private static func json(_ waiter: Reply.WaiterLine, _ holds: [LockTree]) -> JSON {
        .object { object in
            Listing.add(waiter, to: &object)
            object.write(member: "holds", .array(holds.map(\.json)))
        }
    }

    /// Drawn for people.
    func lines(with ink: Ink) -> [String] {
        let held = leases.map { lease in
            let note = lease.note.map { ": \($0.display)" } ?? ""
            let mode = Listing.words(lease.holderLimit)
            return ["\(ink("held", .good)) by \(lease.peer.display) for \(lease.held.display)\(mode)\(note)"]
        }
        let waiting = waiters.map { waiter, holds in
            let note = waiter.note.map { ": \($0.display)" } ?? ""
            let who = "#\(waiter.position) \(waiter.peer.display)"
            let line = "\(who) \(ink("waits", .warning)) for \(waiter.waited.display)\(note)"
            return [line] + Self.hanging(holds.map { $0.lines(with: ink) })
        }
        return [ink(name.display, .heading)] + Self.hanging(held + waiting)
    }

    /// The lines of what hangs below a line, one part after the other.
    private static func hanging(_ parts: [[String]]) -> [String] {
        parts.enumerated().flatMap { index, lines in
            let (first, rest) = index == parts.count - 1 ? ("└─ ", "   ") : ("├─ ", "│  ")
            return lines.enumerated().map { ($0 == 0 ? first : rest) + $1 }
        }
    }
}
