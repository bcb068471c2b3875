import LockdCore
import LockdModel
import Testing

/// Philosophers at a round table, who need both of the forks beside them to eat, and ask for them with one request.
@Suite struct PhilosopherTests {
    @Test(arguments: [2, 3, 4, 5, 10, 33, 100], [1, 2, 3] as [UInt64])
    func everybodyEatsAndNobodyIsOvertaken(count: Int, seed: UInt64) throws {
        var dinner = try Dinner(of: count, seed: seed)
        try dinner.run(mealCount: 3)
    }

    /// All of them at once, in a row or crosswise: nobody takes one fork and waits for ever for the other.
    @Test(arguments: [2, 3, 10, 100])
    func allOfThemMayBeHungryAtOnce(count: Int) throws {
        for step in [1, 7, count - 1] {
            var dinner = try Dinner(of: count, seed: 1)
            for place in 0..<count { try dinner.becomeHungry((place * step) % count) }
            try dinner.finish()
            #expect(dinner.fewestMeals == 1)
        }
    }
}

/// The table, the philosophers, and the order in which they have become hungry.
private struct Dinner {
    private enum State: Equatable {
        case thinking
        /// Since the request with this number.
        case hungry(Int)
        case eating
    }

    private var table = LockTable(limits: Limits(), firstToken: 1, reservedThrough: 1_000_000)
    private var auditor: Auditor
    private var random: SplitMix64
    private let now = MonotonicInstant(nanoseconds: 0)
    private let seed: UInt64
    private var states: [State]
    private var meals: [Int]
    /// How often the neighbours of each have been granted their forks since it became hungry.
    private var overtakings: [Int]
    private var requestCount = 0

    init(of count: Int, seed: UInt64) throws {
        auditor = Auditor(of: table, reservedThrough: 1_000_000)
        random = SplitMix64(state: seed)
        self.seed = seed
        states = Array(repeating: .thinking, count: count)
        meals = Array(repeating: 0, count: count)
        overtakings = Array(repeating: 0, count: count)
        for place in 0..<count { try apply(.sessionOpened(id(place).session, user: .root)) }
    }

    var fewestMeals: Int { meals.min() ?? 0 }

    /// Somebody does what comes next for it, until all have eaten so often.
    mutating func run(mealCount: Int) throws {
        var stepsLeft = 1000 * states.count * mealCount
        while fewestMeals < mealCount {
            stepsLeft -= 1
            try require(stepsLeft > 0, "somebody starves")
            let place = Int.random(in: states.indices, using: &random)
            switch states[place] {
            case .thinking: try becomeHungry(place)
            case .hungry: continue
            case .eating: try finishMeal(place)
            }
        }
        try finish()
    }

    mutating func becomeHungry(_ place: Int) throws {
        guard states[place] == .thinking else { return }
        requestCount += 1
        states[place] = .hungry(requestCount)
        overtakings[place] = 0
        try apply(.acquireRequested(AcquireRequest(id(place), forks(of: place))))
    }

    /// Whoever eats goes on thinking, until nobody is hungry.
    mutating func finish() throws {
        while let place = states.firstIndex(of: .eating) { try finishMeal(place) }
        try require(states.allSatisfy { $0 == .thinking }, "somebody waits for ever")
        table.checkInvariants()
    }

    private mutating func finishMeal(_ place: Int) throws {
        states[place] = .thinking
        meals[place] += 1
        let fork = Bool.random(using: &random) ? forks(of: place).first : forks(of: place).others[0]
        try apply(.releaseRequested(id(place), fork, token: nil))
    }

    private mutating func apply(_ event: Event) throws {
        let effects = table.apply(event, at: now)
        try auditor.observe(event, at: now, effects, leaseCount: table.leaseCount)
        for effect in effects {
            guard case .sendGranted(let id, _, _, _, _) = effect else { continue }
            try startMeal(Int(id.session.value) - 1)
        }
    }

    private mutating func startMeal(_ place: Int) throws {
        guard case .hungry(let number) = states[place] else {
            return try require(false, "\(place) is granted forks it did not ask for")
        }
        let neighbours = Set([place + 1, place + states.count - 1].map { $0 % states.count }).subtracting([place])
        for neighbour in neighbours {
            switch states[neighbour] {
            case .thinking: break
            case .eating: try require(false, "\(place) eats beside \(neighbour)")
            case .hungry(let other):
                try require(other > number, "\(place) has overtaken \(neighbour)")
            }
            overtakings[neighbour] += 1
            // Each was before it once, at the most: it asked earlier.
            try require(
                states[neighbour] == .thinking || overtakings[neighbour] <= 2,
                "\(neighbour) has waited too long"
            )
        }
        states[place] = .eating
    }

    private func require(_ condition: Bool, _ complaint: String) throws {
        if !condition { throw Complaint("\(complaint), of \(states.count) philosophers, seed \(seed)") }
    }

    private func id(_ place: Int) -> RequestID { RequestID(SessionID(UInt64(place + 1))) }

    private func forks(of place: Int) -> LockNames {
        LockNames(stringLiteral: "fork/\(place) fork/\((place + 1) % states.count)")
    }
}
