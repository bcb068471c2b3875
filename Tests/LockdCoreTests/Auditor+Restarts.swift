import LockdCore
import LockdModel

/// What an auditor expects of a table that goes on from what was written down of another one.
extension Auditor {
    /// Takes note that the next events go to another table.
    mutating func noteRestart(_ downtime: Downtime) {
        now = downtime.to
        (workedOffCount, workedOffElsewhereCount) = (0, 0)
        // What is buffered, it is told anew.
        buffered = [:]
        for holder in holders.values {
            guard let deadline = holder.deadline else { continue }
            setDeadline(of: holder.token, to: downtime.moved(deadline))
            // A bound lease has no owner that anybody would remember.
            if holder.request.boundHolder != nil { holders[holder.token]?.request.terms.owner = nil }
        }
        for number in waits.keys where waits[number]?.request.progress != nil {
            // Whoever waits is told anew, and nothing is kept of when it was told before.
            waits[number]?.told = nil
            waits[number]?.toldAt = nil
        }
        for name in accounts.keys {
            // Forgotten is who has left a name without releasing it; not so of a lease whose end the table has not noticed yet, if it has not.
            let rest = accounts[name]?.abandonments.filter { silent[$0.abandonment.token] != nil } ?? []
            accounts[name]?.abandonments = rest.map { lease in
                var lease = lease
                lease.mayGoUntold = true
                return lease
            }
        }
    }
}
