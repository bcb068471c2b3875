/// A place in the history, or none.
struct HoldPlace: Sendable {
    static let nowhere = HoldPlace(-1)

    /// Negative where there is no place: an optional would have to be looked at before each step.
    private var number: Int

    init(_ index: Int) { number = index }

    /// Its number among all places.
    var index: Int? { number < 0 ? nil : number }

    /// Goes on to the next place in the ring, which has so many; from nowhere, nowhere.
    mutating func advance(_ ringSize: Int) {
        let next = number &+ 1
        number = next & (ringSize &- 1) == 0 ? next &- ringSize : next
    }
}
